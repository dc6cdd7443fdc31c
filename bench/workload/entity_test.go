package workload

import "testing"

func TestAcknowledgedNeverFalls(t *testing.T) {
	e := &entity{}
	for _, nr := range []uint64{1, 3, 2, 3} { // the save of 3 overtook that of 2
		e.acknowledge(nr)
	}
	if got := e.acknowledged.Load(); got != 3 {
		t.Errorf("acknowledged %d; want 3", got)
	}
}
