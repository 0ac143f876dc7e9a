package migrations

import (
	"fmt"

	"pleat/spec"
)

// operation is all that the package knows of one kind of operation; each kind
// has a file of its own. What a kind has nothing to say to it takes from plain.
type operation interface {
	spec.Operation
	// rank orders an expand block between the author's SQL: types before
	// columns before triggers before indexes. 0 stays where it is, whatever stands around it.
	rank() int
	// form is what of the operation decides which schema and data it makes.
	form() any
	// expand adds its units to the program and their effect to l.next. It is
	// false where the operation does not belong into an expand block.
	expand(l *lowering) bool
	// contract does the same for the contract block, of which it is the
	// operation at place.
	contract(l *lowering, place int) bool

	// What Project asks for changes l.next: unexpand takes away what the expand
	// block made, settle is the end of its validation, uncontract brings back
	// what the contract block takes, and takeAway takes it, as in that phase.
	unexpand(l *lowering)
	settle(l *lowering)
	uncontract(l *lowering)
	takeAway(l *lowering, to Phase)
}

// plain is the operation that is nowhere allowed and changes nothing.
type plain struct{}

func (plain) rank() int                    { return rankColumn }
func (plain) expand(*lowering) bool        { return false }
func (plain) contract(*lowering, int) bool { return false }
func (plain) unexpand(*lowering)           {}
func (plain) settle(*lowering)             {}
func (plain) uncontract(*lowering)         {}
func (plain) takeAway(*lowering, Phase)    {}

// The ranks of operations within an expand block.
const (
	rankAuthor = iota // stays where the author put it
	rankType
	rankValue
	rankColumn
	rankSync
	rankIndex
	rankConstraint
	rankPartition
)

// kindOf is the one place that lists the operations.
func kindOf(op spec.Operation) operation {
	switch o := op.(type) {
	case *spec.CreateEnum:
		return createEnum{CreateEnum: o}
	case *spec.AddEnumValue:
		return addEnumValue{AddEnumValue: o}
	case *spec.RenameEnumValue:
		return renameEnumValue{RenameEnumValue: o}
	case *spec.DropEnum:
		return dropEnum{DropEnum: o}
	case *spec.CreateTable:
		return createTable{CreateTable: o}
	case *spec.AddColumn:
		return addColumn{AddColumn: o}
	case *spec.DropColumn:
		return dropColumn{DropColumn: o}
	case *spec.ReplaceColumn:
		return replaceColumn{ReplaceColumn: o}
	case *spec.RenameTable:
		return renameTableOperation{RenameTable: o}
	case *spec.RetireName:
		return retireName{RetireName: o}
	case *spec.ServeView:
		return serveView{ServeView: o}
	case *spec.EndView:
		return endView{EndView: o}
	case *spec.DropTable:
		return dropTable{DropTable: o}
	case *spec.CreateIndex:
		return createIndex{CreateIndex: o}
	case *spec.DropIndex:
		return dropIndex{DropIndex: o}
	case *spec.ReplaceIndex:
		return replaceIndex{ReplaceIndex: o}
	case *spec.AddCheck:
		return addCheck{AddCheck: o}
	case *spec.AddForeignKey:
		return addForeignKey{AddForeignKey: o}
	case *spec.AddUnique:
		return addUnique{AddUnique: o}
	case *spec.AddPrimaryKey:
		return addPrimaryKey{AddPrimaryKey: o}
	case *spec.AddExclusion:
		return addExclusion{AddExclusion: o}
	case *spec.DropConstraint:
		return dropConstraint{DropConstraint: o}
	case *spec.RenameConstraint:
		return renameConstraint{RenameConstraint: o}
	case *spec.RenameIndex:
		return renameIndex{RenameIndex: o}
	case *spec.SetNotNull:
		return setNotNull{SetNotNull: o}
	case *spec.DropNotNull:
		return dropNotNull{DropNotNull: o}
	case *spec.SetDefault:
		return setDefault{SetDefault: o}
	case *spec.DropDefault:
		return dropDefault{DropDefault: o}
	case *spec.CommentOn:
		return commentOn{CommentOn: o}
	case *spec.Sync:
		return syncOperation{Sync: o}
	case *spec.AttachPartition:
		return attachPartition{AttachPartition: o}
	case *spec.DetachPartition:
		return detachPartition{DetachPartition: o}
	case *spec.CreatePartition:
		return createPartition{CreatePartition: o}
	case *spec.SQL:
		return sqlOperation{SQL: o}
	}
	panic(fmt.Sprintf("migrations: operation %T is of no kind", op))
}

func kindsOf(ops []spec.Operation) []operation {
	kinds := make([]operation, len(ops))
	for i, op := range ops {
		kinds[i] = kindOf(op)
	}
	return kinds
}
