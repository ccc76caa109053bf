"""One module for each row of the table: what is measured, and what it is measured against."""
