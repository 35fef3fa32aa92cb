"""What ties Holdfast to other libraries; it stands above the core, which names none of them."""
