"""Reports as data, and the tables, charts and pages made of them."""
