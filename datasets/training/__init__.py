"""Where recipes meet data: retrain, and the studies made of training."""
