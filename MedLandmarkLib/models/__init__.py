"""Networks, their weights, and the catalogue of models that can be had."""
