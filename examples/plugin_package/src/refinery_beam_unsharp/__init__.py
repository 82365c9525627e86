"""unsharp_mask for refinery-beam."""
