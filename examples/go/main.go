// Lists three products of a category over gRPC: go run . 127.0.0.1:8080 Coffee
package main

import (
	"context"
	"fmt"
	"log"
	"os"
	"time"

	inventory "example.com/buyer/gen/shop/inventory/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

func main() {
	connection, err := grpc.NewClient(os.Args[1], grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		log.Fatal(err)
	}
	defer connection.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()

	request := &inventory.ListProductsRequest{Category: os.Args[2], PageSize: 3}
	answer, err := inventory.NewInventoryServiceClient(connection).ListProducts(ctx, request)
	if err != nil {
		log.Fatal(err)
	}
	for _, product := range answer.Products {
		fmt.Println(product.Name)
	}
}
