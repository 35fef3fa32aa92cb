"""The audit: who changed which field of what, when and why, in a log that can be proved."""

from holdfast.acting import Acting, acting, acting_as, become
from holdfast.audit.audit_entry import AuditCheckpoint, AuditEntry, AuditHead, AuditTile
from holdfast.audit.audit_hook import AuditHook
from holdfast.audit.audit_log import AuditFilter, AuditLog
from holdfast.audit.captured_value import UNKNOWN
from holdfast.audit.checkpoint_note import Checkpoint, SignerKey, VerifierKey
from holdfast.audit.inclusion import InclusionProof, inclusion_proof, verify_inclusion
from holdfast.audit.log_source import ExportedLog, StoreLog, exported_lines
from holdfast.audit.redaction import prune, redact
from holdfast.audit.row_snapshot import RowSnapshot
from holdfast.audit.sequencer import Sequenced, Sequencer
from holdfast.audit.verification import FindingKind, LogFinding, Verification, verify_log

__all__ = [
    "UNKNOWN",
    "Acting",
    "AuditCheckpoint",
    "AuditEntry",
    "AuditFilter",
    "AuditHead",
    "AuditHook",
    "AuditLog",
    "AuditTile",
    "Checkpoint",
    "ExportedLog",
    "FindingKind",
    "InclusionProof",
    "LogFinding",
    "RowSnapshot",
    "Sequenced",
    "Sequencer",
    "SignerKey",
    "StoreLog",
    "Verification",
    "VerifierKey",
    "acting",
    "acting_as",
    "become",
    "exported_lines",
    "inclusion_proof",
    "prune",
    "redact",
    "verify_inclusion",
    "verify_log",
]
