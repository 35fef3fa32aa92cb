"""Hosts: templates of machines, requests for some, and the machines that came."""

from holdfast.errors import IllegalTransitionError
from holdfast.hosts.autoscaling import Autoscaler, Scaled, ScalingPolicy
from holdfast.hosts.host_entities import (
    HostRequest,
    Machine,
    MachineStatus,
    RequestKind,
    RequestStatus,
    Stage,
    Template,
)
from holdfast.hosts.host_factory import HostFactory
from holdfast.hosts.host_options import HostPoolOptions
from holdfast.hosts.host_pool import HostPool, Tended
from holdfast.hosts.host_repositories import (
    MachineRepository,
    RequestRepository,
    TemplateRepository,
)
from holdfast.hosts.provider import Instance, InstanceState, Provider
from holdfast.hosts.reconciler import Reconciled
from holdfast.hosts.worker_processes import WorkerProcesses

__all__ = [
    "Autoscaler",
    "HostFactory",
    "HostPool",
    "HostPoolOptions",
    "HostRequest",
    "IllegalTransitionError",
    "Instance",
    "InstanceState",
    "Machine",
    "MachineRepository",
    "MachineStatus",
    "Provider",
    "Reconciled",
    "RequestKind",
    "RequestRepository",
    "RequestStatus",
    "Scaled",
    "ScalingPolicy",
    "Stage",
    "Template",
    "TemplateRepository",
    "Tended",
    "WorkerProcesses",
]
