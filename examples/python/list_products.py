"""Lists three products of a category over gRPC: python list_products.py 127.0.0.1:8080 Coffee"""

import sys

import grpc
from shop.inventory.v1 import inventory_service_pb2, inventory_service_pb2_grpc

address, category = sys.argv[1:]
with grpc.insecure_channel(address) as channel:
    inventory = inventory_service_pb2_grpc.InventoryServiceStub(channel)
    request = inventory_service_pb2.ListProductsRequest(category=category, page_size=3)
    for product in inventory.ListProducts(request, timeout=10).products:
        print(product.name)
