import type { JsonObject } from "@bufbuild/protobuf";
import { InventoryService } from "@shop/gen/shop/inventory/v1/inventory_service_pb";
import { expect } from "vitest";
import { idOf, invalid, notFound, type ServiceContract, time, unique, unknown } from "../../../tests/contract.ts";

/** Fixtures of the cases. */
export interface InventoryWorld {
  readonly ids: { readonly admin: string };
  /** A product that the cases only read. */
  readonly product: JsonObject & { readonly productId: string; readonly category: string; readonly sku: string };
  /** Another product of 12.50 EUR with plenty of stock. */
  readonly plenty: JsonObject & { readonly productId: string; readonly name: string };
  /** A CONFIRMED order of one unit of `plenty`. */
  readonly order: { readonly orderId: string };
  newProduct(): Promise<JsonObject & { readonly productId: string }>;
  newDeletedProduct(): Promise<JsonObject & { readonly productId: string }>;
}
type World = InventoryWorld;

const euros = { currencyCode: "EUR", minorUnits: "1250" };
const newProduct = () => ({ name: unique("Kettle"), category: unique("Kitchen"), price: euros });

/** A part of an audit without findings. */
const soundPart = expect.toSatisfy((part: JsonObject) => "checked" in part && !("findings" in part));

/** An order for DecideOrders that is refused, so it leaves nothing but its decision. */
const notPlaced = "order_01h455vb4pex5vsknk084sn03r";

/** The contract of each method of InventoryService. */
export const contract: ServiceContract<typeof InventoryService, World> = {
  service: InventoryService,
  methods: {
    createProduct: {
      access: "ADMIN",
      rest: ({ product, ...query }) => ({
        verb: "POST",
        path: "/products",
        query,
        body: (product ?? {}) as JsonObject,
        answers: "product",
      }),
      invalid: { product: {} },
      cases: [
        {
          as: "admin",
          says: "adds a product with all fields",
          request: () => ({
            product: {
              ...newProduct(),
              description: "Whistles",
              stock: 7,
              sku: unique("sku"),
              imageUrl: "https://example.com/kettle.jpg?size=1#front",
              attributes: { color: "red", power_kw: "2" },
              state: "PRODUCT_STATE_ARCHIVED",
            },
          }),
          answers: (_, { product }) => ({
            product: {
              ...(product as JsonObject),
              productId: idOf("product"),
              etag: expect.any(String),
              createTime: time,
              updateTime: time,
            },
          }),
        },
        {
          as: "admin",
          says: "refuses a SKU that another product has",
          request: ({ product }) => ({ product: { ...newProduct(), sku: product.sku } }),
          refuses: { code: "AlreadyExists", reason: "SKU_TAKEN" },
        },
        {
          as: "admin",
          says: "refuses invalid fields, all in one response",
          request: () => ({
            product: {
              name: "n".repeat(201),
              category: "c".repeat(101),
              price: { currencyCode: "euro", minorUnits: "-1" },
              stock: -1,
              sku: "a sku",
              imageUrl: "javascript:alert(1)",
              attributes: { "a.b": "1" },
              state: 9,
            },
          }),
          refuses: invalid(
            "product.name",
            "product.category",
            "product.price.currency_code",
            "product.price.minor_units",
            "product.stock",
            "product.sku",
            "product.image_url",
            'product.attributes["a.b"]',
            "product.state",
          ),
        },
      ],
      examples: [
        {
          step: 130,
          name: "adds-product",
          summary: "Adds a teapot",
          as: "admin",
          request: {
            product: {
              name: "Teapot",
              description: "Holds a litre",
              category: "Kitchenware",
              price: {
                currency_code: "EUR",
                minor_units: "1250",
              },
              stock: 10,
              sku: "TEA-1",
              image_url: "https://example.com/teapot.jpg",
              attributes: {
                glaze: "celadon-glaze",
              },
            },
          },
          answer: {
            product_id: "product_01m83qczwyf20br2p6267wma1x",
            name: "Teapot",
            description: "Holds a litre",
            category: "Kitchenware",
            price: {
              currency_code: "EUR",
              minor_units: "1250",
            },
            stock: 10,
            sku: "TEA-1",
            etag: "v1",
            create_time: "2026-11-23T08:12:16.158Z",
            update_time: "2026-11-23T08:12:16.158Z",
            image_url: "https://example.com/teapot.jpg",
            attributes: {
              glaze: "celadon-glaze",
            },
            state: "PRODUCT_STATE_ACTIVE",
          },
        },
        {
          step: 140,
          name: "sku-taken",
          summary: "A SKU that another product has",
          as: "admin",
          request: {
            product: {
              name: "Another teapot",
              category: "Kitchenware",
              price: {
                currency_code: "EUR",
                minor_units: "990",
              },
              sku: "TEA-1",
            },
          },
          status: 409,
          answer: {
            code: 6,
            message: "another product has that SKU",
            details: [
              {
                "@type": "type.googleapis.com/google.rpc.ErrorInfo",
                reason: "SKU_TAKEN",
                domain: "shop.inventory.v1",
                metadata: {
                  sku: "TEA-1",
                },
              },
            ],
          },
        },
        {
          step: 150,
          name: "not-an-admin",
          summary: "A caller who is not an administrator",
          as: "shopper",
          request: {
            product: {
              name: "Teapot",
              category: "Kitchenware",
              price: {
                currency_code: "EUR",
                minor_units: "1",
              },
            },
          },
          status: 403,
          answer: {
            code: 7,
            message: "only an administrator can do this",
            details: [
              {
                "@type": "type.googleapis.com/google.rpc.ErrorInfo",
                reason: "ADMIN_REQUIRED",
                domain: "shop.inventory.v1",
              },
            ],
          },
        },
      ],
    },
    listProducts: {
      access: "PUBLIC",
      rest: (query) => ({ verb: "GET", path: "/products", query }),
      invalid: { pageSize: -1 },
      cases: [
        {
          as: "anonymous",
          says: "lists a category",
          request: ({ product }) => ({ category: product.category }),
          answers: ({ product }) => ({ products: [product] }),
        },
        {
          as: "forger",
          says: "lists nothing of an empty category, and ignores tokens",
          request: () => ({ category: unique("none"), pageSize: 5 }),
          answers: () => ({}),
        },
        {
          as: "anonymous",
          says: "combines all filters, and counts categories",
          request: ({ product }) => ({
            query: product.sku,
            category: product.category,
            currencyCode: "EUR",
            minPrice: "1250",
            maxPrice: "1250",
            inStock: true,
            orderBy: "price desc",
            countCategories: true,
          }),
          answers: ({ product }) => ({
            products: [product],
            categoryCounts: [{ category: product.category, count: 1 }],
          }),
        },
        {
          as: "anonymous",
          says: "refuses prices without a currency",
          request: () => ({ minPrice: "1" }),
          refuses: invalid("currency_code"),
        },
        {
          as: "anonymous",
          says: "refuses a malformed attribute and an unknown order",
          request: () => ({ attributes: ["color"], orderBy: "rating" }),
          refuses: invalid("attributes[0]", "order_by"),
        },
        {
          as: "anonymous",
          says: "refuses a page that is too large",
          request: () => ({ pageSize: 101 }),
          refuses: invalid("page_size"),
        },
        {
          as: "anonymous",
          says: "refuses a forged page token",
          request: () => ({ pageToken: "bm90IG1hZGUgaGVyZSwgbm90IGhlcmU" }),
          refuses: invalid("page_token"),
        },
      ],
      examples: [
        {
          step: 160,
          name: "lists-a-category",
          summary: "The products of a category",
          request: {
            category: "Kitchenware",
            page_size: 20,
          },
          answer: {
            products: [
              {
                product_id: "product_01m83qczwyf20br2p6267wma1x",
                name: "Teapot",
                description: "Holds a litre",
                category: "Kitchenware",
                price: {
                  currency_code: "EUR",
                  minor_units: "1250",
                },
                stock: 10,
                sku: "TEA-1",
                etag: "v1",
                create_time: "2026-11-23T08:12:16.158Z",
                update_time: "2026-11-23T08:12:16.158Z",
                image_url: "https://example.com/teapot.jpg",
                attributes: {
                  glaze: "celadon-glaze",
                },
                state: "PRODUCT_STATE_ACTIVE",
              },
            ],
            next_page_token: "",
            category_counts: [],
            category_counts_partial: false,
          },
        },
        {
          step: 170,
          name: "words-attribute-price",
          summary: "Filters by words, an attribute and a price, with counts by category",
          request: {
            query: "litre teap",
            attributes: ["glaze:celadon-glaze"],
            currency_code: "EUR",
            max_price: "2000",
            in_stock: true,
            order_by: "relevance",
            count_categories: true,
          },
          answer: {
            products: [
              {
                product_id: "product_01m83qczwyf20br2p6267wma1x",
                name: "Teapot",
                description: "Holds a litre",
                category: "Kitchenware",
                price: {
                  currency_code: "EUR",
                  minor_units: "1250",
                },
                stock: 10,
                sku: "TEA-1",
                etag: "v1",
                create_time: "2026-11-23T08:12:16.158Z",
                update_time: "2026-11-23T08:12:16.158Z",
                image_url: "https://example.com/teapot.jpg",
                attributes: {
                  glaze: "celadon-glaze",
                },
                state: "PRODUCT_STATE_ACTIVE",
              },
            ],
            next_page_token: "",
            category_counts: [
              {
                category: "Kitchenware",
                count: 1,
              },
            ],
            category_counts_partial: false,
          },
        },
      ],
    },
    getProductByID: {
      access: "PUBLIC",
      rest: ({ product_id }) => ({
        verb: "GET",
        path: `/products/${product_id}`,
        answers: "product",
      }),
      invalid: { productId: "none" },
      cases: [
        {
          as: "anonymous",
          says: "reads a product",
          request: ({ product }) => ({ productId: product.productId }),
          answers: ({ product }) => ({ product }),
        },
        {
          as: "anonymous",
          says: "does not find an unknown product",
          request: () => ({ productId: unknown("product") }),
          refuses: notFound("PRODUCT_NOT_FOUND"),
        },
        {
          as: "anonymous",
          says: "refuses a malformed id",
          request: () => ({ productId: "42" }),
          refuses: invalid("product_id"),
        },
      ],
      examples: [
        {
          step: 180,
          name: "reads-product",
          summary: "A product",
          request: {
            product_id: "product_01m83qczwyf20br2p6267wma1x",
          },
          answer: {
            product_id: "product_01m83qczwyf20br2p6267wma1x",
            name: "Teapot",
            description: "Holds a litre",
            category: "Kitchenware",
            price: {
              currency_code: "EUR",
              minor_units: "1250",
            },
            stock: 10,
            sku: "TEA-1",
            etag: "v1",
            create_time: "2026-11-23T08:12:16.158Z",
            update_time: "2026-11-23T08:12:16.158Z",
            image_url: "https://example.com/teapot.jpg",
            attributes: {
              glaze: "celadon-glaze",
            },
            state: "PRODUCT_STATE_ACTIVE",
          },
        },
        {
          step: 210,
          name: "no-such-product",
          summary: "An unknown id",
          request: {
            product_id: "product_01h455vb4pex5vsknk084sn02q",
          },
          status: 404,
          answer: {
            code: 5,
            message: "there is no such product",
            details: [
              {
                "@type": "type.googleapis.com/google.rpc.ErrorInfo",
                reason: "PRODUCT_NOT_FOUND",
                domain: "shop.inventory.v1",
                metadata: {
                  product_id: "product_01h455vb4pex5vsknk084sn02q",
                },
              },
            ],
          },
        },
      ],
    },
    updateProduct: {
      access: "ADMIN",
      rest: ({ product }) => {
        const { product_id, ...body } = product as JsonObject;
        return { verb: "PATCH", path: `/products/${product_id}`, body, answers: "product" };
      },
      invalid: { product: { productId: "none" } },
      cases: [
        {
          as: "admin",
          says: "changes the field of the mask",
          request: async (world) => ({
            product: { productId: (await world.newProduct()).productId, description: "Now in blue" },
            updateMask: "description",
          }),
          answers: (_, { product }) => ({
            product: {
              productId: (product as JsonObject).productId!,
              description: "Now in blue",
              name: expect.any(String),
              category: expect.any(String),
              price: euros,
              stock: 10,
              state: "PRODUCT_STATE_ACTIVE",
              etag: expect.any(String),
              createTime: time,
              updateTime: time,
            },
          }),
        },
        {
          as: "admin",
          says: "refuses a stale etag",
          request: ({ product }) => ({
            product: { productId: product.productId, name: "Too late", etag: "v0" },
            updateMask: "name",
          }),
          refuses: { code: "Aborted", reason: "PRODUCT_CHANGED" },
        },
        {
          as: "admin",
          says: "does not find an unknown product",
          request: () => ({ product: { productId: unknown("product"), name: "Nobody's" }, updateMask: "name" }),
          refuses: notFound("PRODUCT_NOT_FOUND"),
        },
        {
          as: "admin",
          says: "refuses to set the stock",
          request: ({ product }) => ({ product: { productId: product.productId, stock: 5 }, updateMask: "stock" }),
          refuses: invalid("product.stock"),
        },
      ],
      examples: [
        {
          step: 220,
          name: "changes-price",
          summary: "Changes only the price",
          as: "admin",
          request: {
            product: {
              product_id: "product_01m83qczwyf20br2p6267wma1x",
              price: {
                currency_code: "EUR",
                minor_units: "1199",
              },
            },
          },
          answer: {
            product_id: "product_01m83qczwyf20br2p6267wma1x",
            name: "Teapot",
            description: "Holds a litre",
            category: "Kitchenware",
            price: {
              currency_code: "EUR",
              minor_units: "1199",
            },
            stock: 10,
            sku: "TEA-1",
            etag: "v2",
            create_time: "2026-11-23T08:12:16.158Z",
            update_time: "2026-11-23T08:12:16.297Z",
            image_url: "https://example.com/teapot.jpg",
            attributes: {
              glaze: "celadon-glaze",
            },
            state: "PRODUCT_STATE_ACTIVE",
          },
        },
      ],
    },
    deleteProduct: {
      access: "ADMIN",
      rest: ({ product_id, ...query }) => ({
        verb: "DELETE",
        path: `/products/${product_id}`,
        query,
      }),
      invalid: { productId: "none" },
      cases: [
        {
          as: "admin",
          says: "deletes a product",
          request: async (world) => ({ productId: (await world.newProduct()).productId }),
          answers: () => ({}),
        },
        {
          as: "admin",
          says: "does not find an unknown product",
          request: () => ({ productId: unknown("product") }),
          refuses: notFound("PRODUCT_NOT_FOUND"),
        },
        {
          as: "admin",
          says: "refuses a stale etag",
          request: ({ product }) => ({ productId: product.productId, etag: "v0" }),
          refuses: { code: "Aborted", reason: "PRODUCT_CHANGED" },
        },
      ],
      examples: [
        {
          step: 470,
          name: "deletes-product",
          summary: "Deletes a product",
          as: "admin",
          request: {
            product_id: "product_01m83qczwyf20br2p6267wma1x",
          },
          answer: {},
        },
        {
          step: 480,
          name: "deleted-already",
          summary: "The product was deleted before",
          as: "admin",
          request: {
            product_id: "product_01m83qczwyf20br2p6267wma1x",
          },
          status: 404,
          answer: {
            code: 5,
            message: "there is no such product",
            details: [
              {
                "@type": "type.googleapis.com/google.rpc.ErrorInfo",
                reason: "PRODUCT_NOT_FOUND",
                domain: "shop.inventory.v1",
                metadata: {
                  product_id: "product_01m83qczwyf20br2p6267wma1x",
                },
              },
            ],
          },
        },
      ],
    },
    adjustStock: {
      access: "ADMIN",
      rest: ({ product_id, ...body }) => ({
        verb: "POST",
        path: `/products/${product_id}:adjustStock`,
        body,
        answers: "stock",
      }),
      invalid: { productId: "none" },
      cases: [
        {
          as: "admin",
          says: "corrects the units on hand",
          request: async (world) => ({
            productId: (await world.newProduct()).productId,
            onHandDelta: 3,
            reason: "found behind the shelf",
          }),
          answers: (_, { productId }) => ({
            stock: { productId: productId!, onHand: expect.any(Number), available: expect.any(Number), sequence: 2 },
          }),
        },
        {
          as: "admin",
          says: "refuses to remove more units than there are",
          request: async (world) => ({
            productId: (await world.newProduct()).productId,
            onHandDelta: -1_000_000,
            reason: "lost",
          }),
          refuses: { code: "FailedPrecondition", reason: "STOCK_OUT_OF_BOUNDS" },
        },
        {
          as: "admin",
          says: "refuses an adjustment of zero without a reason",
          request: ({ product }) => ({ productId: product.productId }),
          refuses: invalid("on_hand_delta", "reason"),
        },
      ],
      examples: [
        {
          step: 230,
          name: "receives-stock",
          summary: "Five units were received",
          as: "admin",
          request: {
            product_id: "product_01m83qczwyf20br2p6267wma1x",
            on_hand_delta: 5,
            reason: "A delivery came in",
            request_id: "delivery-1",
          },
          answer: {
            product_id: "product_01m83qczwyf20br2p6267wma1x",
            on_hand: 15,
            reserved: 0,
            available: 15,
            sequence: 2,
          },
        },
        {
          step: 240,
          name: "below-zero",
          summary: "More units than there are",
          as: "admin",
          request: {
            product_id: "product_01m83qczwyf20br2p6267wma1x",
            on_hand_delta: -100,
            reason: "Counted wrongly",
          },
          status: 400,
          answer: {
            code: 9,
            message: "15 units are on hand and 0 of them are reserved: the adjustment is out of bounds",
            details: [
              {
                "@type": "type.googleapis.com/google.rpc.ErrorInfo",
                reason: "STOCK_OUT_OF_BOUNDS",
                domain: "shop.inventory.v1",
                metadata: {
                  product_id: "product_01m83qczwyf20br2p6267wma1x",
                  on_hand: "15",
                  reserved: "0",
                },
              },
            ],
          },
        },
      ],
    },
    listStockMovements: {
      access: "ADMIN",
      rest: ({ product_id, ...query }) => ({
        verb: "GET",
        path: `/products/${product_id}/movements`,
        query,
      }),
      invalid: { productId: "none" },
      cases: [
        {
          as: "admin",
          says: "lists a product's movements",
          request: async (world) => ({ productId: (await world.newProduct()).productId }),
          answers: ({ ids }) => ({
            movements: [
              {
                sequence: 1,
                kind: "STOCK_MOVEMENT_KIND_RECEIVED",
                onHandDelta: expect.any(Number),
                actor: ids.admin,
                time,
              },
            ],
          }),
        },
        {
          as: "admin",
          says: "does not find an unknown product",
          request: () => ({ productId: unknown("product") }),
          refuses: notFound("PRODUCT_NOT_FOUND"),
        },
      ],
      examples: [
        {
          step: 250,
          name: "lists-movements",
          summary: "A product's movements",
          as: "admin",
          request: {
            product_id: "product_01m83qczwyf20br2p6267wma1x",
            page_size: 10,
          },
          answer: {
            movements: [
              {
                sequence: 2,
                kind: "STOCK_MOVEMENT_KIND_ADJUSTED",
                on_hand_delta: 5,
                reserved_delta: 0,
                order_ids: [],
                actor: "user_01m83qcpzdf20br0v1gseyesza",
                reason: "A delivery came in",
                time: "2026-11-23T08:12:16.316Z",
              },
              {
                sequence: 1,
                kind: "STOCK_MOVEMENT_KIND_RECEIVED",
                on_hand_delta: 10,
                reserved_delta: 0,
                order_ids: [],
                actor: "user_01m83qcpzdf20br0v1gseyesza",
                reason: "",
                time: "2026-11-23T08:12:16.158Z",
              },
            ],
            next_page_token: "",
          },
        },
      ],
    },
    watchStock: {
      access: "PUBLIC",
      rest: ({ product_id, ...query }) => ({
        verb: "GET",
        path: `/products/${product_id}:watchStock`,
        query,
      }),
      invalid: { productId: "none" },
      cases: [
        {
          as: "anonymous",
          says: "begins with the current stock",
          request: ({ product }) => ({ productId: product.productId }),
          answers: ({ product: { productId } }) => ({ stock: { productId, onHand: 10, available: 10, sequence: 1 } }),
        },
        {
          as: "forger",
          says: "begins with a heartbeat when nothing has moved since, and ignores tokens",
          request: ({ product }) => ({ productId: product.productId, afterSequence: 1 }),
          answers: () => ({}),
        },
        {
          as: "anonymous",
          says: "does not find an unknown product",
          request: () => ({ productId: unknown("product") }),
          refuses: notFound("PRODUCT_NOT_FOUND"),
        },
        {
          as: "anonymous",
          says: "refuses an invalid sequence",
          request: ({ product }) => ({ productId: product.productId, afterSequence: -1 }),
          refuses: invalid("after_sequence"),
        },
      ],
      examples: [
        {
          step: 260,
          name: "current-stock",
          summary: "Begins with the current stock",
          request: {
            product_id: "product_01m83qczwyf20br2p6267wma1x",
          },
          answer: {
            stock: {
              product_id: "product_01m83qczwyf20br2p6267wma1x",
              on_hand: 15,
              reserved: 0,
              available: 15,
              sequence: 2,
            },
          },
        },
      ],
    },
    undeleteProduct: {
      access: "ADMIN",
      rest: ({ product_id, ...body }) => ({
        verb: "POST",
        path: `/products/${product_id}:undelete`,
        body,
        answers: "product",
      }),
      invalid: { productId: "none" },
      cases: [
        {
          as: "admin",
          says: "undeletes a product",
          request: async (world) => ({ productId: (await world.newDeletedProduct()).productId }),
          answers: (_, { productId }) => ({
            product: {
              productId: productId!,
              name: expect.any(String),
              category: expect.any(String),
              price: euros,
              stock: 10,
              state: "PRODUCT_STATE_ACTIVE",
              etag: "v3",
              createTime: time,
              updateTime: time,
            },
          }),
        },
        {
          as: "admin",
          says: "refuses a product that is not deleted",
          request: ({ product }) => ({ productId: product.productId }),
          refuses: { code: "AlreadyExists", reason: "PRODUCT_NOT_DELETED" },
        },
        {
          as: "admin",
          says: "does not find an unknown product",
          request: () => ({ productId: unknown("product") }),
          refuses: notFound("PRODUCT_NOT_FOUND"),
        },
      ],
      examples: [
        {
          step: 490,
          name: "undeletes-product",
          summary: "Undeletes a product",
          as: "admin",
          request: {
            product_id: "product_01m83qczwyf20br2p6267wma1x",
          },
          answer: {
            product_id: "product_01m83qczwyf20br2p6267wma1x",
            name: "Teapot",
            description: "Holds a litre",
            category: "Kitchenware",
            price: {
              currency_code: "EUR",
              minor_units: "1199",
            },
            stock: 14,
            sku: "TEA-1",
            etag: "v4",
            create_time: "2026-11-23T08:12:16.158Z",
            update_time: "2026-11-23T08:12:19.412Z",
            image_url: "https://example.com/teapot.jpg",
            attributes: {
              glaze: "celadon-glaze",
            },
            state: "PRODUCT_STATE_ACTIVE",
          },
        },
        {
          step: 500,
          name: "not-deleted",
          summary: "A product that is not deleted",
          as: "admin",
          request: {
            product_id: "product_01m83qczwyf20br2p6267wma1x",
          },
          status: 409,
          answer: {
            code: 6,
            message: "the product is in the catalogue",
            details: [
              {
                "@type": "type.googleapis.com/google.rpc.ErrorInfo",
                reason: "PRODUCT_NOT_DELETED",
                domain: "shop.inventory.v1",
                metadata: {
                  product_id: "product_01m83qczwyf20br2p6267wma1x",
                },
              },
            ],
          },
        },
      ],
    },
    batchGetProducts: {
      access: "PUBLIC",
      rest: (query) => ({
        verb: "GET",
        path: "/products:batchGet",
        query,
      }),
      invalid: {},
      cases: [
        {
          as: "anonymous",
          says: "reads the products that exist",
          request: ({ product }) => ({ productIds: [product.productId, unknown("product")] }),
          answers: ({ product }) => ({ products: [product] }),
        },
        {
          as: "customer",
          says: "reads the requested fields",
          request: ({ product }) => ({ productIds: [product.productId], readMask: "name,stock,etag" }),
          answers: ({ product: { productId, name, stock, etag } }) => ({
            products: [{ productId, name: name!, stock: stock!, etag: etag! }],
          }),
        },
        {
          as: "owner",
          says: "refuses an unknown field",
          request: ({ product }) => ({ productIds: [product.productId], readMask: "terms" }),
          refuses: invalid("read_mask"),
        },
        {
          as: "forger",
          says: "refuses a request without ids",
          request: () => ({}),
          refuses: invalid("product_ids"),
        },
      ],
      examples: [
        {
          step: 190,
          name: "reads-several",
          summary: "Several products; those that are not sold are omitted",
          request: {
            product_ids: ["product_01m83qczwyf20br2p6267wma1x", "product_01h455vb4pex5vsknk084sn02q"],
          },
          answer: {
            products: [
              {
                product_id: "product_01m83qczwyf20br2p6267wma1x",
                name: "Teapot",
                description: "Holds a litre",
                category: "Kitchenware",
                price: {
                  currency_code: "EUR",
                  minor_units: "1250",
                },
                stock: 10,
                sku: "TEA-1",
                etag: "v1",
                create_time: "2026-11-23T08:12:16.158Z",
                update_time: "2026-11-23T08:12:16.158Z",
                image_url: "https://example.com/teapot.jpg",
                attributes: {
                  glaze: "celadon-glaze",
                },
                state: "PRODUCT_STATE_ACTIVE",
              },
            ],
          },
        },
        {
          step: 200,
          name: "reads-some-fields",
          summary: "Only the requested fields; the rest are empty",
          request: {
            product_ids: ["product_01m83qczwyf20br2p6267wma1x"],
            read_mask: "name,price",
          },
          answer: {
            products: [
              {
                product_id: "product_01m83qczwyf20br2p6267wma1x",
                name: "Teapot",
                description: "",
                category: "",
                price: {
                  currency_code: "EUR",
                  minor_units: "1250",
                },
                stock: 0,
                sku: "",
                etag: "",
                image_url: "",
                attributes: {},
                state: "PRODUCT_STATE_UNSPECIFIED",
              },
            ],
          },
        },
      ],
    },
    batchGetReservations: {
      access: "INTERNAL",
      rest: (query) => ({
        verb: "GET",
        path: "/reservations:batchGet",
        query,
      }),
      invalid: {},
      cases: [
        {
          as: "platform",
          says: "reads a reservation",
          request: ({ order }) => ({ orderIds: [order.orderId, unknown("order")] }),
          answers: ({ order, plenty }) => ({
            reservations: [
              {
                orderId: order.orderId,
                outcome: "RESERVATION_OUTCOME_RESERVED",
                lines: [{ productId: plenty.productId, quantity: 1 }],
              },
            ],
          }),
        },
      ],
      examples: [],
    },
    decideOrders: {
      access: "INTERNAL",
      rest: (body) => ({ verb: "POST", path: "/reservations:decide", body }),
      invalid: {},
      cases: [
        {
          as: "platform",
          says: "returns earlier decisions, and decides the other orders",
          request: ({ order, plenty }) => ({
            orders: [
              { orderId: order.orderId, lines: [{ productId: plenty.productId, quantity: 1 }] },
              { orderId: notPlaced, lines: [{ productId: unknown("product"), quantity: 1 }] },
            ],
          }),
          answers: ({ order }) => ({
            decisions: [
              { orderId: order.orderId, outcome: "RESERVATION_OUTCOME_RESERVED" },
              {
                orderId: notPlaced,
                outcome: "RESERVATION_OUTCOME_REFUSED",
                reason: "a product of this order is no longer sold",
              },
            ],
          }),
        },
      ],
      examples: [],
    },
    listReservations: {
      access: "INTERNAL",
      rest: (query) => ({ verb: "GET", path: "/reservations", query }),
      invalid: { pageToken: "none" },
      cases: [
        {
          as: "platform",
          says: "lists the orders with reservations",
          request: () => ({}),
          answers: () => expect.toSatisfy((page: JsonObject) => "orderIds" in page || "nextPageToken" in page),
        },
        {
          as: "platform",
          says: "refuses a forged page token",
          request: () => ({ pageToken: "none" }),
          refuses: invalid("page_token"),
        },
      ],
      examples: [],
    },
    auditStock: {
      access: "ADMIN",
      rest: (query) => ({ verb: "GET", path: "/admin/stock:audit", query }),
      invalid: { pageToken: "none" },
      cases: [
        { as: "admin", says: "finds no broken invariant", request: () => ({}), answers: () => soundPart },
        {
          as: "admin",
          says: "refuses a forged page token",
          request: () => ({ pageToken: "none" }),
          refuses: invalid("page_token"),
        },
      ],
      examples: [
        {
          step: 430,
          name: "audits",
          summary: "Audits the stock",
          as: "admin",
          request: {},
          answer: {
            findings: [],
            checked: {
              products: 113,
              movements: 118,
              entries: 118,
            },
            next_page_token: "",
          },
        },
      ],
    },
    repairStock: {
      access: "ADMIN",
      rest: (body) => ({ verb: "POST", path: "/admin/stock:repair", body }),
      invalid: {},
      cases: [
        {
          as: "admin",
          says: "leaves sound stock unchanged",
          request: ({ product }) => ({ targets: [{ invariant: "STOCK_BALANCE_WRONG", subject: product.productId }] }),
          answers: (_, { targets }) => ({
            repairs: [{ target: (targets as JsonObject[])[0]!, outcome: "REPAIR_OUTCOME_SOUND" }],
          }),
        },
        {
          as: "admin",
          says: "refuses an invariant of another service",
          request: ({ order }) => ({ targets: [{ invariant: "ANYTHING", subject: order.orderId }] }),
          refuses: invalid("targets[0].invariant"),
        },
      ],
      examples: [
        {
          step: 440,
          name: "nothing-to-repair",
          summary: "Sound stock is left unchanged",
          as: "admin",
          request: {
            targets: [
              {
                invariant: "STOCK_BALANCE_WRONG",
                subject: "product_01m83qczwyf20br2p6267wma1x",
              },
            ],
            dry_run: true,
          },
          answer: {
            repairs: [
              {
                target: {
                  invariant: "STOCK_BALANCE_WRONG",
                  subject: "product_01m83qczwyf20br2p6267wma1x",
                },
                outcome: "REPAIR_OUTCOME_SOUND",
                action: "",
              },
            ],
          },
        },
      ],
    },
  },
};
