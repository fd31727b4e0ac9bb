"""What is remembered of trials and runs: plain frozen records that need neither torch nor a study."""
