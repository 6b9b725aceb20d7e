"""Pictures made in parts: exact tiles within a memory budget, regions, and files in strips."""
