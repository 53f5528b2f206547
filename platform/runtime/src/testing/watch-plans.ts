import type { AbstractCursor, Collection, Document } from "mongodb";
import { onTestFinished, vi } from "vitest";

/** The execution statistics of a query, from explain. */
export interface Plan {
  readonly stages: readonly string[];
  readonly keys: number;
  readonly documents: number;
}

/** Records the plans of all reads from a collection. */
export function watchPlans<Schema extends Document>(collection: Collection<Schema>) {
  const cursors: AbstractCursor[] = [];
  for (const method of ["find", "aggregate"] as const) {
    const original = collection[method].bind(collection) as (...args: unknown[]) => AbstractCursor;
    const spy = vi.spyOn(collection, method).mockImplementation(((...args: unknown[]) => {
      const cursor = original(...args);
      cursors.push(cursor);
      return cursor;
    }) as never);
    onTestFinished(() => spy.mockRestore());
  }
  return async (work: () => Promise<unknown>): Promise<Plan[]> => {
    cursors.length = 0;
    await work();
    return await Promise.all(cursors.splice(0).map(planOf));
  };
}

async function planOf(cursor: AbstractCursor): Promise<Plan> {
  const explained: Document = await (cursor as never as { clone(): { explain(v: string): Promise<Document> } })
    .clone()
    .explain("executionStats");
  const { queryPlanner, executionStats } = explained.stages?.[0]?.$cursor ?? explained;
  return {
    stages: stagesOf(queryPlanner.winningPlan.queryPlan ?? queryPlanner.winningPlan),
    keys: executionStats.totalKeysExamined,
    documents: executionStats.totalDocsExamined,
  };
}

function stagesOf(plan: Document): string[] {
  const inputs: Document[] = plan.inputStages ?? (plan.inputStage === undefined ? [] : [plan.inputStage]);
  return [plan.stage, ...inputs.flatMap(stagesOf)];
}
