package hazard

var objectDocs = []Doc{
	{
		Code: "rename_enum_value", Severity: Risk, Title: "Value of an enum renamed",
		Explain: "Releases that write or compare with the old value get errors from this moment on.",
		Safe:    "Add the new value, move the rows over by a backfill, and leave the old one in the type.",
		Manual:  "ALTER TYPE, RENAME VALUE",
		Strong:  []string{"rename_enum_value"},
	},
	{
		Code: "enum_value_in_transaction", Severity: Risk, Title: "Enum value used where it was added",
		Explain: "A value that ALTER TYPE … ADD VALUE adds cannot be used before its transaction is committed (55P04). A default, a CHECK or an INSERT with it in the same transaction fails.",
		Safe:    "Add the value in a change or a file before the one that uses it.",
		Manual:  "ALTER TYPE, Notes",
	},
	{
		Code: "enum_value_unordered", Severity: Advice, Title: "Enum value without BEFORE or AFTER",
		Explain: "It goes to the end, and values of an enum are compared by their order.",
		Safe:    "Say BEFORE or AFTER.",
		Manual:  "ALTER TYPE, ADD VALUE",
		Squawk:  []string{"require-enum-value-ordering"},
	},
	{
		Code: "type_altered", Severity: Risk, Title: "Attribute of a composite type changed",
		Explain: "Releases that read values of the type meet another shape. With CASCADE, typed tables are changed too, and written anew where the type of an attribute changes.",
		Safe:    "A new type beside the old one.",
		Manual:  "ALTER TYPE",
		Squawk:  []string{"ban-add-composite-attribute"},
	},
	{
		Code: "rename_object", Severity: Risk, Title: "Object renamed, or moved to another schema",
		Explain: "Releases that use the old name of the view, function, type or sequence get errors from this moment on.",
		Safe:    "Create it under the new name as well, and drop the old one when nobody uses it.",
		Manual:  "ALTER VIEW; ALTER FUNCTION; ALTER TYPE",
		Squawk:  []string{"ban-set-schema", "renaming-object"},
	},
	{
		Code: "drop_object", Severity: Risk, Title: "Object dropped",
		Explain: "Releases that use the view, function, type, trigger or sequence get errors, or work on without what it did. A trigger or policy takes ACCESS EXCLUSIVE on its table for a moment.",
		Safe:    "In contract, once no release uses it.",
		Manual:  "§5.14 Dependency Tracking",
		Squawk:  []string{"ban-drop-domain", "ban-drop-function", "ban-drop-policy", "ban-drop-sequence", "ban-drop-trigger", "ban-drop-type", "ban-drop-view"},
	},
	{
		Code: "object_replaced", Severity: Advice, Title: "View, function, trigger or rule replaced",
		Explain: "Every release that uses it gets the new one at once, old ones included.",
		Safe:    "Keep to what older releases expect, or give the new one another name.",
		Manual:  "CREATE VIEW; CREATE FUNCTION",
		Squawk:  []string{"ban-replace-view-function"},
	},
	{
		Code: "extension_updated", Severity: Risk, Title: "Extension updated or dropped",
		Explain: "Its script runs with whatever locks and rewrites it has, and there is rarely a way back.",
		Safe:    "Read the extension's notes for the versions between, and try it on a copy.",
		Manual:  "ALTER EXTENSION",
		Squawk:  []string{"ban-alter-extension", "ban-drop-extension"},
	},
	{
		Code: "privilege_removed", Severity: Risk, Title: "Privileges taken away",
		Explain: "Releases and people that used them get errors from this moment on, and so may pleat.",
		Safe:    "In contract, once nobody uses them.",
		Manual:  "REVOKE",
		Squawk:  []string{"ban-revoke"},
	},
	{
		Code: "server_wide", Severity: Risk, Title: "Reaches beyond the database",
		Explain: "Roles, tablespaces, databases, subscriptions and ALTER SYSTEM belong to the whole server, or to others: what is changed here is changed for all of them, and pleat does not take it back.",
		Safe:    "Leave them to what sets up the server.",
		Manual:  "CREATE ROLE; ALTER SYSTEM; CREATE SUBSCRIPTION",
		Squawk:  []string{"ban-alter-database-options", "ban-alter-role-options", "ban-alter-system-options"},
	},
}
