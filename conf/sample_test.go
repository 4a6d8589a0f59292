package conf_test

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/zabkeeper/zabkeeper/conf"
)

func TestDefaultConfiguration(t *testing.T) {
	in := conf.Default("/some/dir")
	c, err := conf.Load(in)
	if err != nil {
		t.Fatal(err)
	}
	got := fmt.Sprint(c.Standalone, " ", c.Client, " ", c.DataDir, " ", c.TickTime, " ", c.Notices)
	if want := "true 127.0.0.1:2181 /some/dir 2s []"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	in.Text[0] = 'x'
	if again := conf.Default(""); again.Text[0] == 'x' {
		t.Error("Default hands out the embedded text itself")
	}
}

func TestStandaloneSample(t *testing.T) {
	text, err := os.ReadFile("zoo_sample.cfg")
	if err != nil {
		t.Fatal(err)
	}
	c, err := conf.Load(conf.Input{Name: "zoo_sample.cfg", Text: text, ReadFile: os.ReadFile, Strict: true})
	if err != nil || !c.Standalone || len(c.Notices) != 0 {
		t.Fatalf("%+v, %v", c, err)
	}
}

func TestEnsembleSamples(t *testing.T) {
	var texts []string
	for n := 1; n <= 3; n++ {
		name := fmt.Sprintf("ensemble/zoo%d.cfg", n)
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		myid := filepath.Join(fmt.Sprintf("data/zk%d", n), "myid")
		c, err := conf.Load(conf.Input{
			Name: name, Text: text, Strict: true,
			ReadFile: files{myid: fmt.Sprintln(n)}.read,
		})
		if err != nil {
			t.Fatal(err)
		}
		if len(c.Notices) != 0 || c.Standalone || int(c.MyID) != n || c.Client.Port != 2180+n || c.Ensemble.Voters().Len() != 3 {
			t.Errorf("%s: notices %v, id %v, client %v, ensemble %v", name, c.Notices, c.MyID, c.Client, c.Ensemble)
		}
		if _, clash := c.Ensemble.Member(c.MyID); !clash {
			t.Errorf("%s: server %v is not in its own list", name, c.MyID)
		}
		texts = append(texts, c.Ensemble.String())
	}
	if texts[0] != texts[1] || texts[1] != texts[2] {
		t.Errorf("the three files describe different ensembles: %q", texts)
	}
}
