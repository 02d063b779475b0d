"""Networks trained for the comparisons: recipes, and weights in half precision beside them."""
