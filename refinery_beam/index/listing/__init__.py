"""Which files a source selects, and what their place says of them."""
