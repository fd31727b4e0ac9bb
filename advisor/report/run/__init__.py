"""The page of a run, as a file and on the terminal, made from its folder alone."""

from advisor.report.run.page import run_page as run_page
from advisor.report.run.page import run_screen as run_screen
from advisor.report.run.page import write_run_report as write_run_report
