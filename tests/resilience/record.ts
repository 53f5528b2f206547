/** The requests of a run's clients and their answers. The checker uses only this, the public API and the ledger. */
export interface History {
  readonly products: readonly StockedProduct[];
  readonly requests: readonly OrderRequest[];
  /** Transitions that a client requested and that were confirmed. */
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

/** One order request. With a key it may have been sent several times. */
export interface OrderRequest {
  readonly userId: string;
  readonly key: string | undefined;
  readonly lines: readonly Line[];
  readonly answers: readonly Answer[];
}

export type Answer =
  | { readonly kind: "accepted"; readonly orderId: string; readonly at: number }
  /** Answers that guarantee that the request was not executed. */
  | { readonly kind: "refused"; readonly code: string; readonly at: number }
  /** No answer, or one that leaves it open. */
  | { readonly kind: "unknown"; readonly code: string; readonly message: string; readonly at: number };

export interface AcceptedMove {
  readonly orderId: string;
  readonly to: "CANCELLED" | "SHIPPED";
}

/** A change of stock on hand, with its own request id. */
export interface Adjustment {
  readonly productId: string;
  readonly requestId: string;
  readonly delta: number;
  readonly outcome: "done" | "refused" | "unknown";
}

/** Records a history during the run. */
export interface Recorder {
  readonly history: History;
  stocked(product: StockedProduct): void;
  /** Records the request before it is sent; the result records the answer of each attempt. */
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

/** The ids of the orders that were accepted in an answer. */
export function acceptedIds({ requests }: Pick<History, "requests">): Set<string> {
  return new Set(
    requests.flatMap(({ answers }) => answers.flatMap((answer) => (answer.kind === "accepted" ? answer.orderId : []))),
  );
}
