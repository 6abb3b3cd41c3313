"""Devices: trees moved to them, data divided between them, several processes."""

from ._device import Device as Device
from ._device import cpu_device as cpu_device
from ._device import get_device as get_device
from ._device import gpu_device as gpu_device
from ._distributed import DistributedData as DistributedData
from ._distributed import data_mesh as data_mesh
from ._distributed import shard_batch as shard_batch
from ._distributed import synchronize as synchronize
from ._launch import initialize_distributed as initialize_distributed
