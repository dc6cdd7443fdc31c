package workload

import "strings"

// The words that generated states are made of.
var (
	firstNames    = strings.Fields("Ada Alan Barbara Claude Donald Edsger Frances Grace Hedy Ivan Joan Katherine Linus Margaret Niklaus Ole Peter Radia Shafi Tim")
	lastNames     = strings.Fields("Allen Backus Codd Dahl Engelbart Floyd Goldberg Hopper Iverson Johnson Knuth Lamport Moore Naur Perlis Ritchie Sutherland Turing Wirth Zuse")
	cities        = strings.Fields("Amsterdam Berlin Chennai Dakar Edinburgh Florence Geneva Hanoi Istanbul Jakarta Kyoto Lima Montreal Nairobi Oslo Porto")
	countries     = strings.Fields("NL DE IN SN GB IT CH VN TR ID JP PE CA KE NO PT")
	currencies    = strings.Fields("EUR USD GBP JPY CHF")
	banks         = strings.Fields("NORDBANK CITYTRUST HARBOUR UNION MERCANTILE PROVIDENT")
	categories    = strings.Fields("groceries rent salary travel energy insurance books repairs refunds fees")
	orderStatuses = strings.Fields("placed paid picked packed shipped delivered returned")
	warehouses    = strings.Fields("north south east west")
	skuPrefixes   = strings.Fields("KB MS MN CB DS CH LP SP")
	adjectives    = strings.Fields("Compact Quiet Foldable Wireless Sturdy Light Adjustable Spare")
	products      = strings.Fields("keyboard mouse monitor cable desk chair lamp speaker notebook charger stand adapter")
	blockKinds    = strings.Fields("paragraph heading quote list caption")

	// vocabulary begins with the words that are used most.
	vocabulary = strings.Fields(`the of and to a in is that it was for on are as with they at be this from
		have or by one had not but what all were when we there can an your which their said if do will each about
		how up out them then she many some so these would other into has more her two like him see time could no
		make than first been its who now people my made over did down only way find use may water long little very
		after words called just where most know get through back much before go good new write our used me man too
		any day same right look think also around another came come work three word must because does part even
		place well such here take why things help put years different away again off went old number great tell men
		say small every found still between name should home big give air line set own under read last never us
		left end along while might next sound below saw something thought both few those always looked show large
		often together asked house world going want school important until form food keep children feet land side
		without boy once animals life enough took sometimes four head above kind began almost live page got earth
		need far hand high year mother light parts country father let night following picture being study second
		eyes soon times story boys since white days ever paper hard near sentence better best across during today
		others however sure means knew try told young miles sun ways thing whole hear example heard several change`)
)
