"""A traffic scene with its truth: what a demo shows and a test knows."""

from holdfast.media.scene.traffic import FRAME_RATE, SceneObject, make_scene

__all__ = ["FRAME_RATE", "SceneObject", "make_scene"]
