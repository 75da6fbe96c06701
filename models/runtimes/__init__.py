"""What runs a packaged model: ONNX Runtime, torch, and the device it runs on."""
