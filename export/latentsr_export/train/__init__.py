"""Training recipes: small plain PyTorch programs that make the demo's weights again."""
