"""The client of Odd-Names_2, made by `baas sdk generate`. What is changed here is lost.

    cloud = create_cloud("https://api.example.com")
    cloud.auth().sign_in_anonymously()
    page = cloud.database().collection("...").limit(20).get()

`create_async_cloud` makes the same for asyncio.
"""

from . import odd_names_2_gen, runtime
from .odd_names_2_gen import *
from .odd_names_2_gen import AsyncUserCloud as create_async_cloud
from .odd_names_2_gen import UserCloud as create_cloud
from .runtime import *

__all__ = ["create_async_cloud", "create_cloud"]
__all__ += odd_names_2_gen.__all__
__all__ += runtime.__all__
