"""HTTP as bytes: heads, bodies, forms and streams. Nothing in this folder knows what a model, a key or a price is."""
