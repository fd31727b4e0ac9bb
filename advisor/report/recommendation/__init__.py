"""The page of a recommendation, as a file and on the terminal."""

from advisor.report.recommendation.page import recommendation_page as recommendation_page
from advisor.report.recommendation.page import recommendation_screen as recommendation_screen
from advisor.report.recommendation.page import write_recommendation as write_recommendation
