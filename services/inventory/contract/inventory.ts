import type { JsonObject } from "@bufbuild/protobuf";
import { InventoryService } from "@shop/gen/shop/inventory/v1/inventory_service_pb";
import { expect } from "vitest";
import { idOf, invalid, notFound, type ServiceContract, time, unique, unknown } from "../../../tests/contract.ts";

/** What is there before the cases are tried. */
export interface InventoryWorld {
  readonly ids: { readonly admin: string };
  /** A product that the cases only read. */
  readonly product: JsonObject & { readonly productId: string; readonly category: string; readonly sku: string };
  /** Another product of 12.50 EUR, with plenty of stock, to be ordered. */
  readonly plenty: JsonObject & { readonly productId: string; readonly name: string };
  /** An order of one of `plenty`, CONFIRMED. */
  readonly order: { readonly orderId: string };
  newProduct(): Promise<JsonObject & { readonly productId: string }>;
  newDeletedProduct(): Promise<JsonObject & { readonly productId: string }>;
}
type World = InventoryWorld;

const euros = { currencyCode: "EUR", minorUnits: "1250" };
const newProduct = () => ({ name: unique("Kettle"), category: unique("Kitchen"), price: euros });

/** Of stock that is sound, however much of it there is. */
const soundPart = expect.toSatisfy((part: JsonObject) => "checked" in part && !("findings" in part));

/** Of an order that nobody placed: it is refused, so nothing of it is left but the refusal. */
const notPlaced = "order_01h455vb4pex5vsknk084sn03r";

/** What is promised of each method of InventoryService. */
export const contract: ServiceContract<typeof InventoryService, World> = {
  service: InventoryService,
  methods: {
    createProduct: {
      callers: "admins",
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
          says: "adds a product with all that can be said of it",
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
          says: "refuses a SKU that another product carries",
          request: ({ product }) => ({ product: { ...newProduct(), sku: product.sku } }),
          refuses: { code: "AlreadyExists", reason: "SKU_TAKEN" },
        },
        {
          as: "admin",
          says: "refuses bad fields, all at once",
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
          summary: "A SKU that another product carries",
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
            message: "another product carries that SKU",
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
          summary: "Somebody who is no administrator",
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
      callers: "anybody",
      rest: (query) => ({ verb: "GET", path: "/products", query }),
      invalid: { pageSize: -1 },
      cases: [
        {
          as: "nobody",
          says: "lists a category",
          request: ({ product }) => ({ category: product.category }),
          answers: ({ product }) => ({ products: [product] }),
        },
        {
          as: "forger",
          says: "lists nothing of an empty category, since tokens do not matter here",
          request: () => ({ category: unique("none"), pageSize: 5 }),
          answers: () => ({}),
        },
        {
          as: "nobody",
          says: "finds what is asked for in every way at once, and counts its category",
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
          as: "nobody",
          says: "refuses prices without a currency",
          request: () => ({ minPrice: "1" }),
          refuses: invalid("currency_code"),
        },
        {
          as: "nobody",
          says: "refuses what is no attribute and no order",
          request: () => ({ attributes: ["color"], orderBy: "rating" }),
          refuses: invalid("attributes[0]", "order_by"),
        },
        {
          as: "nobody",
          says: "refuses a page that is too large",
          request: () => ({ pageSize: 101 }),
          refuses: invalid("page_size"),
        },
        {
          as: "nobody",
          says: "refuses a page token that was not made here",
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
          name: "as-somebody-types",
          summary:
            "What fits the words that somebody types, an attribute and a price, and how many of each category do",
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
      callers: "anybody",
      rest: ({ product_id }) => ({
        verb: "GET",
        path: `/products/${product_id}`,
        answers: "product",
      }),
      invalid: { productId: "none" },
      cases: [
        {
          as: "nobody",
          says: "reads a product",
          request: ({ product }) => ({ productId: product.productId }),
          answers: ({ product }) => ({ product }),
        },
        {
          as: "nobody",
          says: "does not find an unknown product",
          request: () => ({ productId: unknown("product") }),
          refuses: notFound("PRODUCT_NOT_FOUND"),
        },
        {
          as: "nobody",
          says: "refuses what is not an id",
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
          summary: "An id that no product has",
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
      callers: "admins",
      rest: ({ product }) => {
        const { product_id, ...body } = product as JsonObject;
        return { verb: "PATCH", path: `/products/${product_id}`, body, answers: "product" };
      },
      invalid: { product: { productId: "none" } },
      cases: [
        {
          as: "admin",
          says: "changes the field that is named",
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
          summary: "Changes the price, and nothing else",
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
      callers: "admins",
      rest: ({ product_id, ...query }) => ({
        verb: "DELETE",
        path: `/products/${product_id}`,
        query,
      }),
      invalid: { productId: "none" },
      cases: [
        {
          as: "admin",
          says: "takes a product out of the catalogue",
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
          name: "takes-out",
          summary: "Takes a product out of the catalogue",
          as: "admin",
          request: {
            product_id: "product_01m83qczwyf20br2p6267wma1x",
          },
          answer: {},
        },
        {
          step: 480,
          name: "gone-already",
          summary: "It is gone already",
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
      callers: "admins",
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
          says: "corrects what is on hand",
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
          says: "refuses to take away what is not there",
          request: async (world) => ({
            productId: (await world.newProduct()).productId,
            onHandDelta: -1_000_000,
            reason: "lost",
          }),
          refuses: { code: "FailedPrecondition", reason: "STOCK_OUT_OF_BOUNDS" },
        },
        {
          as: "admin",
          says: "refuses an adjustment of nothing for no reason",
          request: ({ product }) => ({ productId: product.productId }),
          refuses: invalid("on_hand_delta", "reason"),
        },
      ],
      examples: [
        {
          step: 230,
          name: "goods-came-in",
          summary: "Five more came in",
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
          name: "more-than-there-are",
          summary: "Takes away more than there are",
          as: "admin",
          request: {
            product_id: "product_01m83qczwyf20br2p6267wma1x",
            on_hand_delta: -100,
            reason: "Counted wrongly",
          },
          status: 400,
          answer: {
            code: 9,
            message: "15 are on hand and 0 of them set aside for orders: that adjustment can't be made",
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
      callers: "admins",
      rest: ({ product_id, ...query }) => ({
        verb: "GET",
        path: `/products/${product_id}/movements`,
        query,
      }),
      invalid: { productId: "none" },
      cases: [
        {
          as: "admin",
          says: "tells where a product's stock came from",
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
          summary: "How the stock came to be what it is",
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
      callers: "anybody",
      rest: ({ product_id, ...query }) => ({
        verb: "GET",
        path: `/products/${product_id}:watchStock`,
        query,
      }),
      invalid: { productId: "none" },
      cases: [
        {
          as: "nobody",
          says: "begins with the stock as it is",
          request: ({ product }) => ({ productId: product.productId }),
          answers: ({ product: { productId } }) => ({ stock: { productId, onHand: 10, available: 10, sequence: 1 } }),
        },
        {
          as: "forger",
          says: "begins with a sign of life where nothing has moved since, and tokens do not matter here",
          request: ({ product }) => ({ productId: product.productId, afterSequence: 1 }),
          answers: () => ({}),
        },
        {
          as: "nobody",
          says: "does not find an unknown product",
          request: () => ({ productId: unknown("product") }),
          refuses: notFound("PRODUCT_NOT_FOUND"),
        },
        {
          as: "nobody",
          says: "refuses what is no sequence",
          request: ({ product }) => ({ productId: product.productId, afterSequence: -1 }),
          refuses: invalid("after_sequence"),
        },
      ],
      examples: [
        {
          step: 260,
          name: "begins-with-the-stock",
          summary: "Begins with the stock as it is",
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
      callers: "admins",
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
          says: "puts a deleted product back",
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
          says: "refuses to put back what is there",
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
          name: "puts-back",
          summary: "Puts a deleted product back",
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
          name: "is-there",
          summary: "A product that is in the catalogue",
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
      callers: "anybody",
      rest: (query) => ({
        verb: "GET",
        path: "/products:batchGet",
        query,
      }),
      invalid: {},
      cases: [
        {
          as: "nobody",
          says: "reads what there is",
          request: ({ product }) => ({ productIds: [product.productId, unknown("product")] }),
          answers: ({ product }) => ({ products: [product] }),
        },
        {
          as: "customer",
          says: "reads the fields that are asked for",
          request: ({ product }) => ({ productIds: [product.productId], readMask: "name,stock,etag" }),
          answers: ({ product: { productId, name, stock, etag } }) => ({
            products: [{ productId, name: name!, stock: stock!, etag: etag! }],
          }),
        },
        {
          as: "owner",
          says: "refuses a field that there is not",
          request: ({ product }) => ({ productIds: [product.productId], readMask: "terms" }),
          refuses: invalid("read_mask"),
        },
        {
          as: "forger",
          says: "refuses a request for nothing",
          request: () => ({}),
          refuses: invalid("product_ids"),
        },
      ],
      examples: [
        {
          step: 190,
          name: "reads-what-is-sold",
          summary: "Several products at once; what is not sold is left out",
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
          summary: "Only what is asked for; the rest comes empty",
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
      callers: "platform",
      rest: (query) => ({
        verb: "GET",
        path: "/reservations:batchGet",
        query,
      }),
      invalid: {},
      cases: [
        {
          as: "platform",
          says: "tells what was set aside",
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
      callers: "platform",
      rest: (body) => ({ verb: "POST", path: "/reservations:decide", body }),
      invalid: {},
      cases: [
        {
          as: "platform",
          says: "tells what was decided before, and decides the rest",
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
      callers: "platform",
      rest: (query) => ({ verb: "GET", path: "/reservations", query }),
      invalid: { pageToken: "none" },
      cases: [
        {
          as: "platform",
          says: "lists the orders that stock was set aside for",
          request: () => ({}),
          answers: () => expect.toSatisfy((page: JsonObject) => "orderIds" in page || "nextPageToken" in page),
        },
        {
          as: "platform",
          says: "refuses a page token that was not made here",
          request: () => ({ pageToken: "none" }),
          refuses: invalid("page_token"),
        },
      ],
      examples: [],
    },
    auditStock: {
      callers: "admins",
      rest: (query) => ({ verb: "GET", path: "/admin/stock:audit", query }),
      invalid: { pageToken: "none" },
      cases: [
        { as: "admin", says: "finds no broken invariant", request: () => ({}), answers: () => soundPart },
        {
          as: "admin",
          says: "refuses a page token that was not made here",
          request: () => ({ pageToken: "none" }),
          refuses: invalid("page_token"),
        },
      ],
      examples: [
        {
          step: 430,
          name: "audits",
          summary: "Checks the stock",
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
      callers: "admins",
      rest: (body) => ({ verb: "POST", path: "/admin/stock:repair", body }),
      invalid: {},
      cases: [
        {
          as: "admin",
          says: "leaves alone what is sound",
          request: ({ product }) => ({ targets: [{ invariant: "STOCK_BALANCE_WRONG", subject: product.productId }] }),
          answers: (_, { targets }) => ({
            repairs: [{ target: (targets as JsonObject[])[0]!, outcome: "REPAIR_OUTCOME_SOUND" }],
          }),
        },
        {
          as: "admin",
          says: "refuses what is no invariant of its own",
          request: ({ order }) => ({ targets: [{ invariant: "ANYTHING", subject: order.orderId }] }),
          refuses: invalid("targets[0].invariant"),
        },
      ],
      examples: [
        {
          step: 440,
          name: "is-sound",
          summary: "Nothing is wrong there",
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
