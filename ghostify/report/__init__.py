"""Tell: reports as data, and the forms they are printed in."""
