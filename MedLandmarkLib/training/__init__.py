"""Training of landmark networks: data on canvases, augmentation, fitting, and the model folder that comes out."""
