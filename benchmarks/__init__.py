"""Measurements that the documentation reports. Speed is measured here and never asserted in a test."""
