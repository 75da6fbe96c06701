"""From the settings to a listening node: what a person sets is what the listeners do."""

import socket

import pytest
from pydantic import ValidationError

from api.processes.node import node_settings
from core.errors import ConfigurationError
from core.settings import Settings
from dicom_node.intake import MemoryIntake
from dicom_node.network.peers import Destination
from dicom_node.receive import Node
from dicom_node.send import echo
from pipeline.data_folder import make_data_folder
from tests.contract.dicom_peers import make_certificates


@pytest.fixture
def certificates(tmp_path):
    return make_certificates(tmp_path)


def tls_settings(files):
    return {"certificate_file": files.certificate_file, "key_file": files.key_file, "ca_file": files.ca_file, "port": 0}


def test_the_plain_listener_can_be_left_out(tmp_path, certificates):
    settings = make_data_folder(
        tmp_path / "data",
        {"plain_listener": False, "port": 0, "minimum_free_bytes": 0, "tls": tls_settings(certificates[0])},
    )
    with Node(node_settings(settings), MemoryIntake()) as node:
        assert node.listening == {"tls": node.tls_port}
        peer = Destination(name="node", ae_title="CANDOR", host="127.0.0.1", port=node.tls_port, tls=certificates[1])
        assert echo(peer) < 5


def test_by_default_there_is_a_plain_listener_and_no_other(tmp_path):
    with Node(node_settings(Settings(data_dir=tmp_path, port=0)), MemoryIntake()) as node:
        assert node.listening == {"plain": node.port}
        with socket.create_connection(("127.0.0.1", node.port), timeout=5):
            pass


def test_no_listener_at_all_is_a_wrong_setting(tmp_path):
    with pytest.raises(ConfigurationError, match="plain_listener"):
        make_data_folder(tmp_path / "data", {"plain_listener": False})
    with pytest.raises(ValidationError, match="plain_listener"):
        Settings(data_dir=tmp_path, plain_listener=False)


def test_the_bounds_on_bytes_reach_the_node(tmp_path):
    settings = Settings(data_dir=tmp_path, maximum_object_bytes=2_000_000, maximum_bytes_in_flight=3_000_000)
    node = node_settings(settings)
    assert (node.maximum_object_bytes, node.maximum_bytes_in_flight) == (2_000_000, 3_000_000)
