"""Deployment tasks, one file each; reached through the catalog only."""
