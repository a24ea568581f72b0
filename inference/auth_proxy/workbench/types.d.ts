// Types of the API's documents, as far as the workbench reads them; `tsc --checkJs` checks the modules against them.

type Code = string | number;

/** What `h` takes: a function is a binding, evaluated again when the language changes; attributes named `on…` are listeners. */
type Value = string | number | boolean | null | undefined;
type Child = Node | Value | (() => Value) | Child[];
type Attributes = Record<string, Value | (() => Value) | ((event: any) => void)>;

interface Problem { type: string; title: string; status: number; detail: string; request_id: string; errors?: { field?: string; line?: number; detail?: string }[] }
interface Page<T> { items: T[]; next_cursor: string | null; total?: number | null }

interface Category {
  code: Code; labels: Record<string, string>; parent: Code | null; path: string[]; products: number | null; answerable: boolean;
  guidelines?: Record<string, string>;
}
interface Taxonomy { version: number; categories: Category[] }

interface Candidate { code: Code; label: string; /** Null if no model predicted. */ probability: number | null }
interface Word { text: string; field: "designation" | "description"; start: number; end: number; contribution: number }
interface Explanation {
  code: Code; probability: number; unavailable: string[];
  text: { method: string; words: Word[]; omitted_words: number } | null;
  image: { method: string; grid: number[][]; heat_map: string | null } | null;
}
interface Prediction {
  prediction_id: string; category: { code: Code; label: string; path?: string[] }; confidence: number; decision: "accept" | "review";
  top: Candidate[]; modalities: { text: Candidate | null; image: Candidate | null }; degraded: boolean; release: string;
  explanation?: Explanation | null; explanation_problem?: string | null;
  accepted_at?: { code: Code; label: string; path?: string[]; probability: number };
}
interface Product { designation: string | null; description: string | null; image_sha256: string | null }

interface Correction {
  feedback_id: string; state: string; counts: boolean; code: Code; label: string; given?: Code; decided?: boolean; user: string; role: string;
  comment: string; created: string; prediction_id: string | null; predicted: Code | null; confidence: number | null; release: string | null;
  product: Product | null; is_cut: boolean; reviewer: string | null; reviewed: string | null;
  kind?: "correction" | "confirmation"; path?: string[] | null; superseded_by?: string | null; replaced_by?: string | null;
  prediction?: { prediction_id: string; category: { code: Code; label: string } | null; confidence: number | null; decision: string | null; top: Candidate[]; release: string | null } | null;
  agreement?: { users: number; others: { code: Code; label: string; users: number }[]; waits_for: ("reviewer" | "second_user")[] } | null;
}
interface CorrectionPage extends Page<Correction> { total: number | null; is_complete: boolean; counts?: Record<string, number> }
interface FeedbackReceipt { feedback_id: string; state: string; code: Code; label: string; created: string; replaces: string | null }

interface Verdict { run_id: string; promoted: boolean; release: string | null; champion: string | null; reasons: string[]; metrics: Record<string, unknown>; created: string }
interface Run {
  run_id: string; state: string; cause: string; requested_by: string; corrections: number; snapshot: string; created: string; started: string | null;
  finished: string | null; reason: string | null; verdict: Verdict | null;
}
interface TaxonomyEffect { do: string; code: Code; outcome: string; to: Code | null; products: number; corrections: number }
interface OutcomeCounts { kept: number; mapped: number; undecided: number; uncategorized: number }
interface TaxonomyChange {
  from: number; to: number; changes: Record<string, unknown>[]; created: string; actor: string; applied: boolean;
  products: OutcomeCounts; corrections: OutcomeCounts; effects: TaxonomyEffect[];
}
interface User { name: string; role: string; disabled: boolean; created: number }
interface ApiKey { id: string; name: string; role: string; user: string; created: string; created_by: string; expires: string | null; last_used: string | null; key?: string }
interface AuditEvent { event_id: string; created: string; action: string; actor: string; actor_kind: string; role: string | null; target: string; details: Record<string, unknown>; address: string; outcome: string; reason: string }
interface ListedPrediction {
  prediction_id: string; created: string; user: string; product: Product; is_cut: boolean; category: { code: Code; label: string; path?: string[] };
  confidence: number; decision: "accept" | "review" | null; top: Candidate[]; modalities: { text: Candidate | null; image: Candidate | null }; degraded: boolean; release: string;
  feedback: { feedback_id: string; code: Code; label: string; state: string; user: string | null; created: string }[];
}
interface CategoryLabel { code: Code; label: string; path?: string[] }
interface QueueItem {
  item_id: string; reason: string; detail: string; score: number | null; leased_until: string; product: Product; is_cut: boolean; feedback_id: string | null;
  prediction: { prediction_id: string; category: CategoryLabel | null; confidence: number | null; decision: string | null; top: Candidate[]; release: string | null } | null;
  label: CategoryLabel | null; suggested: CategoryLabel | null;
}

interface ModelScores { weighted_f1: number; macro_f1: number; accuracy: number; ece: number; items: number; coverage_at_99: number }
interface CategoryQuality { code: Code; label: string; precision: number; recall: number; f1: number; items: number; accepted_coverage: number | null; accepted_precision: number | null }
interface Confusion { code: Code; label: string; predicted: Code; predicted_label: string; items: number }
interface Quality {
  release: string | null; hold_out: string; scores: Record<string, ModelScores>; by_category: CategoryQuality[]; confusions: Confusion[];
  calibration: { low: number; high: number; items: number; confidence: number; accuracy: number }[]; coverage: { precision: number; coverage: number }[];
  releases: { release: string; created: string; state: string; hold_out: string; weighted_f1: number | null; macro_f1: number | null; f1_by_category: Record<string, number> }[];
  feedback: { day: string; corrections: number; confirmations: number; accepted: number; rejected: number; acceptance_rate: number | null }[];
}
interface Suspect {
  product_id: Code; designation: string; description: string; image_sha256: string | null; code: Code; label: string; probability: number;
  suggested_code: Code; suggested_label: string; suggested_probability: number; copies: number;
}
interface CategoryCount { code: Code; label: string; products: number }
interface Release {
  release: string; created: string; state: string; weighted_f1: number | null; text_weighted_f1: number | null; image_weighted_f1: number | null; hold_out: string;
  data_revision: string; products: number | null; categories: number; corrections: number | null;
  verdict: { promoted: boolean; champion: string | null; reasons: string[]; decided: string } | null;
}
interface ReleaseDetail extends Release {
  git_commit: string | null; mlflow_runs: Record<string, string>; corrections_snapshot: string | null; products_by_category: CategoryCount[];
  corrections_by_category: CategoryCount[]; metrics: Record<string, any>; gate_metrics: Record<string, unknown>;
}
interface DriftWindow { window_id: string; created: string; since: string; until: string; release: string; products: number; verdict: string; reasons: string[] }
interface Batch {
  batch_id: string; file_name: string; state: string; created: string; finished: string | null; reason: string; rows: number; classified: number; accepted: number | null;
  rejected: number; problems: { line: number; field: string; value: string; reason: string }[]; release: string | null; result_url: string | null;
}
