import type { MessageInitShape } from "@bufbuild/protobuf";
import type { ProductSchema } from "@shop/gen/shop/inventory/v1/inventory_service_pb";

/** A category: the start of its SKUs, what it is about, the price of its cheapest product in cents, and its products. */
interface Category {
  readonly name: string;
  readonly sku: string;
  readonly about: string;
  readonly fromCents: number;
  readonly products: readonly string[];
}

const currencyCode = "EUR";

const categories: readonly Category[] = [
  {
    name: "Coffee",
    sku: "COF",
    about: "Roasted in small batches, whole beans, 500 g.",
    fromCents: 990,
    products: [
      "House Blend", "Morning Roast", "Ethiopia Yirgacheffe", "Colombia Huila", "Kenya Nyeri", "Guatemala Antigua",
      "Sumatra Mandheling", "Brazil Cerrado", "Costa Rica Tarrazu", "Rwanda Lake Kivu", "Decaf Mountain Water",
      "Espresso Classico", "Espresso Forte", "Nordic Light",
    ],
  },
  {
    name: "Tea",
    sku: "TEA",
    about: "Loose leaf in a tin, 100 g.",
    fromCents: 690,
    products: [
      "English Breakfast", "Earl Grey", "Darjeeling First Flush", "Assam Malty", "Lapsang Souchong", "Sencha",
      "Genmaicha", "Jasmine Pearls", "Dragon Well", "White Peony", "Rooibos", "Peppermint", "Chamomile", "Masala Chai",
    ],
  },
  {
    name: "Kitchen",
    sku: "KIT",
    about: "Made to be used every day for many years.",
    fromCents: 1490,
    products: [
      "Pour-over Dripper", "Gooseneck Kettle", "Burr Grinder", "French Press", "Stovetop Espresso Maker", "Chef's Knife",
      "Paring Knife", "Cutting Board", "Cast Iron Pan", "Steel Pot 3 l", "Mixing Bowl Set", "Kitchen Scale",
      "Salt Cellar", "Pepper Mill",
    ],
  },
  {
    name: "Tableware",
    sku: "TAB",
    about: "Stoneware and glass that survives a dishwasher.",
    fromCents: 890,
    products: [
      "Espresso Cup", "Cappuccino Cup", "Tall Mug", "Camping Mug", "Dinner Plate", "Side Plate", "Soup Bowl",
      "Serving Platter", "Water Glass", "Wine Glass", "Carafe 1 l", "Teapot 0.8 l", "Milk Jug", "Sugar Bowl",
    ],
  },
  {
    name: "Books",
    sku: "BOO",
    about: "Printed on paper, bound to stay open.",
    fromCents: 1290,
    products: [
      "The Patient Baker", "Soups for Every Season", "A Short History of Tea", "Coffee at Home", "The Kitchen Garden",
      "Bread and Salt", "Noodles", "Preserving", "The Vegetable Year", "One Pan Dinners", "Sharp Knives", "Ferment",
      "Breakfast in Nine Cities", "The Pantry",
    ],
  },
  {
    name: "Garden",
    sku: "GAR",
    about: "For balconies and beds alike.",
    fromCents: 490,
    products: [
      "Trowel", "Hand Fork", "Pruning Shears", "Watering Can 5 l", "Garden Gloves", "Seed Trays", "Clay Pot 20 cm",
      "Plant Labels", "Twine", "Basil Seeds", "Tomato Seeds", "Chilli Seeds", "Lavender Seeds", "Compost Bin",
    ],
  },
  {
    name: "Stationery",
    sku: "STA",
    about: "For lists, letters and plans.",
    fromCents: 290,
    products: [
      "Notebook A5", "Notebook A6", "Dot Grid Pad", "Recipe Cards", "Fountain Pen", "Blue Ink", "Black Ink",
      "Pencil Set", "Eraser", "Brass Sharpener", "Desk Calendar", "Envelopes", "Letter Paper", "Bookmark Set",
    ],
  },
  {
    name: "Bags",
    sku: "BAG",
    about: "Heavy canvas, sewn seams, repaired for free.",
    fromCents: 1990,
    products: [
      "Tote", "Market Bag", "Bread Bag", "Produce Nets", "Lunch Bag", "Backpack 18 l", "Backpack 25 l", "Messenger",
      "Duffel", "Toiletry Bag", "Laptop Sleeve", "Tool Roll", "Bottle Carrier", "Picnic Basket",
    ],
  },
];

/** The sample catalogue: the same products, prices, stocks and SKUs every time. */
export function sampleCatalogue(): MessageInitShape<typeof ProductSchema>[] {
  return categories.flatMap(({ name: category, sku, about, fromCents, products }) =>
    products.map((name, index) => ({
      name,
      category,
      description: about,
      sku: `${sku}-${String(index + 1).padStart(3, "0")}`,
      price: { currencyCode, minorUnits: BigInt(fromCents + index * 150) },
      stock: 20 + ((index * 37) % 180),
    })),
  );
}
