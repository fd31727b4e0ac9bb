"""Pages for people, a module each: plain words first, numbers beside them, readable without colour."""

from advisor.cli.pages.dataset import profile as profile
from advisor.cli.pages.doctor import diagnosis as diagnosis
from advisor.cli.pages.doctor import finding as finding
from advisor.cli.pages.explanation import explanation as explanation
from advisor.cli.pages.listing import cache as cache
from advisor.cli.pages.listing import plugins as plugins
from advisor.cli.pages.listing import table as table
from advisor.cli.pages.predictions import predictions as predictions
from advisor.cli.pages.recommendation import recommendation as recommendation
from advisor.cli.pages.run import result as result
from advisor.cli.pages.run import trial_line as trial_line
from advisor.cli.pages.run import trial_name as trial_name
