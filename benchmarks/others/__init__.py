"""Other actor libraries doing what the rows do, as far as they can."""
