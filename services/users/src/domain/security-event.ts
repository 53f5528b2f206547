export type SecurityEventKind =
  | "signed_in"
  | "sign_in_failed"
  | "refresh_token_reused"
  | "signed_out_everywhere"
  | "password_changed"
  | "password_refused"
  | "roles_set"
  | "disabled"
  | "enabled"
  | "deleted"
  | "password_reset";

export interface SecurityEvent {
  readonly eventId: string;
  readonly kind: SecurityEventKind;
  /** Empty for an unknown name, which is not recorded because it may be a mistyped password. */
  readonly userId: string;
  readonly actor: string;
  readonly sessionId: string;
  readonly detail: string;
  readonly time: Date;
}
