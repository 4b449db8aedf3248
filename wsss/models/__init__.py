"""Networks and their weights: backbones, classifier, AffinityNet, segmentation network, checkpoints."""
