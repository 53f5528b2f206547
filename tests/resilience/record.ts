/** What the clients of a run did and were told. The checker believes this, the public API and the ledger, nothing else. */
export interface History {
  readonly products: readonly StockedProduct[];
  readonly requests: readonly OrderRequest[];
  /** Moves of orders that a client asked for and was told had happened. */
  readonly moves: readonly AcceptedMove[];
  readonly adjustments: readonly Adjustment[];
}

export interface Line {
  readonly productId: string;
  readonly quantity: number;
}

/** A product as it was added before the faults. */
export interface StockedProduct {
  readonly productId: string;
  readonly stock: number;
}

/** One wish for an order. With a key it may have been sent many times. */
export interface OrderRequest {
  readonly userId: string;
  readonly key: string | undefined;
  readonly lines: readonly Line[];
  readonly answers: readonly Answer[];
}

export type Answer =
  | { readonly kind: "accepted"; readonly orderId: string; readonly at: number }
  /** Said for certain that nothing was done. */
  | { readonly kind: "refused"; readonly code: string; readonly at: number }
  /** No answer, or one that says nothing of what was done. */
  | { readonly kind: "unknown"; readonly code: string; readonly message: string; readonly at: number };

export interface AcceptedMove {
  readonly orderId: string;
  readonly to: "CANCELLED" | "SHIPPED";
}

/** A change of stock on hand, under a name of its own. */
export interface Adjustment {
  readonly productId: string;
  readonly requestId: string;
  readonly delta: number;
  readonly outcome: "done" | "refused" | "unknown";
}

/** Writes a history as it happens. */
export interface Recorder {
  readonly history: History;
  stocked(product: StockedProduct): void;
  /** Notes the wish before it is sent; the answer adds what came of each sending. */
  asked(request: Omit<OrderRequest, "answers">): (answer: Answer) => void;
  moved(move: AcceptedMove): void;
  adjusted(adjustment: Adjustment): void;
}

export function startRecord(): Recorder {
  const history = {
    products: [] as StockedProduct[],
    requests: [] as OrderRequest[],
    moves: [] as AcceptedMove[],
    adjustments: [] as Adjustment[],
  };
  return {
    history,
    stocked: (product) => void history.products.push(product),
    asked(request) {
      const answers: Answer[] = [];
      history.requests.push({ ...request, answers });
      return (answer) => void answers.push(answer);
    },
    moved: (move) => void history.moves.push(move),
    adjusted: (adjustment) => void history.adjustments.push(adjustment),
  };
}

/** The ids of the orders that clients saw accepted. */
export function acceptedIds({ requests }: Pick<History, "requests">): Set<string> {
  return new Set(
    requests.flatMap(({ answers }) => answers.flatMap((answer) => (answer.kind === "accepted" ? answer.orderId : []))),
  );
}
