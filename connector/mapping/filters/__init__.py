"""The filters. Importing this package fills the table."""

from connector.mapping.filters import contact, dates, lists, logic, lookup, numbers, places, text
from connector.mapping.filters.registry import FILTERS, Filter

__all__ = ["FILTERS", "Filter", "contact", "dates", "lists", "logic", "lookup", "numbers", "places", "text"]
