"""Scores of networks on images, and recalibration of BatchNorm statistics."""
