/** A call of the shop to copy and paste. */
export interface Example {
  readonly title: string;
  readonly command: string;
}

const listProducts = "shop.inventory.v1.InventoryService/ListProducts";

/**
 * One call over each protocol, all of which answer the same three products.
 * @param address of the gateway, `host:port`
 */
export function examples(address: string, { grpcurl }: { readonly grpcurl: boolean }): readonly Example[] {
  const withGrpcurl: Example = {
    title: "gRPC, with grpcurl",
    command: `grpcurl -plaintext -d '{"page_size":3}' ${address} ${listProducts}`,
  };
  return [
    { title: "REST", command: `curl 'http://${address}/products?page_size=3'` },
    {
      title: "Connect, in JSON",
      command: `curl -H 'content-type: application/json' -d '{"pageSize":3}' http://${address}/${listProducts}`,
    },
    {
      title: "gRPC, with buf",
      command: `npx buf curl --protocol grpc --http2-prior-knowledge -d '{"pageSize":3}' http://${address}/${listProducts}`,
    },
    ...(grpcurl ? [withGrpcurl] : []),
  ];
}
