"""Landmarks of one annotated picture found again in others by comparing a frozen network's features; no training."""

from .network import MatchingNetwork

__all__ = ["MatchingNetwork"]
