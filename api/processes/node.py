"""The node process: the DICOM listener on the real store, wired up. It loads no model and no encoder."""

from __future__ import annotations

import structlog

from api.processes.addresses import why_no_listener
from api.processes.heartbeat import heartbeat, stop_signal
from core.errors import ConfigurationError
from core.settings import Settings
from core.settings.destinations import DicomDestination
from core.store.store import open_store
from dicom_node.receive import Node, NodeSettings
from pipeline.carriers import peer_of, tls_files
from pipeline.intake import StoreIntake

_log = structlog.get_logger()


def serve_node(settings: Settings, *, name: str = "node") -> None:
    """Listen until SIGTERM or SIGINT; ConfigurationError when the port is taken or the TLS files are unusable."""
    stop = stop_signal()
    store = open_store(settings)
    try:
        node = Node(node_settings(settings), StoreIntake(store, node=name))
        _listen(node, settings)
        with heartbeat(store, name):
            stop.wait()
        node.stop()
    finally:
        store.close()


def node_settings(settings: Settings) -> NodeSettings:
    """What the node needs of the settings. Destinations are its peers: they answer storage commitment by calling it."""
    return NodeSettings(
        ae_title=settings.ae_title,
        host=settings.host,
        port=settings.port if settings.plain_listener else None,
        tls_port=settings.tls.port if settings.tls else None,
        tls=tls_files(settings.tls) if settings.tls else None,
        require_called_ae_title=settings.require_called_ae_title,
        allowed_calling_ae_titles=settings.allowed_calling_ae_titles,
        allowed_addresses=settings.allowed_addresses,
        maximum_associations=settings.maximum_associations,
        maximum_associations_per_address=settings.maximum_associations_per_address,
        maximum_object_bytes=settings.maximum_object_bytes,
        maximum_bytes_in_flight=settings.maximum_bytes_in_flight,
        peers=tuple(peer_of(d, settings) for d in settings.destinations if isinstance(d, DicomDestination)),
    )


def _listen(node: Node, settings: Settings) -> None:
    try:
        node.start()
    except OSError as error:
        port, setting = settings.port, "port"
        if settings.tls is not None and "tls" not in node.listening:  # it is opened first
            port, setting = settings.tls.port, "port of [tls]"
        raise ConfigurationError(
            f"the DICOM node cannot listen on {settings.host}, port {port}: "
            f"{why_no_listener(error, settings.host, port, setting)}"
        ) from error
    for kind, port in node.listening.items():
        _log.info("node.listening", host=settings.host, port=port, kind=kind, called_ae_title=settings.ae_title)
