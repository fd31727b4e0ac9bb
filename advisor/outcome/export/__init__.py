"""A handed-over model in other forms, none of which is written unless it answers as the model does."""

from advisor.outcome.export.folders import export_hub_folder, export_timm_folder
from advisor.outcome.export.gate import Agreement, Exported
from advisor.outcome.export.onnx import export_onnx
from advisor.outcome.export.plugin import export_plugin
from advisor.outcome.export.program import export_program

__all__ = [
    "Agreement",
    "Exported",
    "export_hub_folder",
    "export_onnx",
    "export_plugin",
    "export_program",
    "export_timm_folder",
]
