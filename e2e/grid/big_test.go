package grid

import (
	"fmt"
	"os"
	"testing"
	"time"
	"scratchpaper/internal/core"
	"scratchpaper/store"
)

func TestBig(t *testing.T) {
	if os.Getenv("BIG") == "" { t.Skip() }
	s := mustShop(t, 10)
	ctx := t.Context()
	_, err := s.Pool().Exec(ctx, fmt.Sprintf(`insert into %s.%s (_id, _remote_id, _state, %s, %s) select g, 'x'||g, 0, 'Kettle '||(g-1), g from generate_series(11, 1100000) g`, s.table.Schema, s.table.Physical, s.table.Columns[0].Physical, s.table.Columns[1].Physical))
	must(t, err)
	_, err = s.Pool().Exec(ctx, "update tables set counts = jsonb_set(coalesce(counts,'{}'), '{records}', '1100000'), version = version + 1 where org_id is not null and id = $1", s.table.ID)
	fmt.Println(err)
	_ = core.Text
	_ = store.View{}
	t0 := time.Now()
	p := mustPage(t, s.address())
	fmt.Println("ready", time.Since(t0))
	fmt.Println(p.get(`document.querySelector('.g-body').style.height`))
	js := `(async()=>{const g=document.querySelector('#grid'); const times=[]; for (let i=0;i<60;i++){ const pos=Math.floor(Math.random()*1099000); const t=performance.now(); const most=g.scrollHeight-g.clientHeight; g.scrollTop=most*pos/1100000; await new Promise((r,j)=>{const f=()=>{ const h=g.querySelector('.g-head').getBoundingClientRect().bottom, b=g.getBoundingClientRect().bottom; const rows=[...g.querySelectorAll('.r')].map(e=>[e.getBoundingClientRect(),+e.dataset.pos,e.querySelector('[data-c="1"]')?.textContent]).filter(([q])=>q.bottom>h+1&&q.top<b-1); if (rows.length>=24 && rows.every(x=>x[2]==='Kettle '+x[1]) && Math.abs(rows[0][1]-pos)<4000) r(); else if (performance.now()-t>5000) { r(window.bad='no '+pos+' '+JSON.stringify(rows.slice(0,3))+' n'+rows.length+' top '+g.scrollTop) } else requestAnimationFrame(f)}; requestAnimationFrame(f)}); times.push(Math.round(performance.now()-t)); await new Promise(r=>setTimeout(r,50)); } times.sort((a,b)=>a-b); return [window.bad,times[30],times[57],times[59]]})()`
	fmt.Println(p.get(js))
	p.keys("\uF041"[:0])
	fmt.Println(p.get(`(async()=>{const g=document.querySelector('#grid'); g.scrollTop=g.scrollHeight; await new Promise(r=>setTimeout(r,800)); const rows=[...g.querySelectorAll('.r')].map(e=>+e.dataset.pos).sort((a,b)=>a-b); const last=[...g.querySelectorAll('.r')].find(e=>+e.dataset.pos===1099999)?.getBoundingClientRect(); return [rows.at(-1), last?.bottom, g.getBoundingClientRect().bottom]})()`))
	fmt.Println(p.get(`(async()=>{const g=document.querySelector('#grid'); const before=[]; let blanks=0; g.scrollTop=g.scrollHeight/2; await new Promise(r=>setTimeout(r,800)); const frames=[]; let last=performance.now(); for(let i=0;i<120;i++){ g.scrollTop+=60; await new Promise(r=>requestAnimationFrame(r)); const now=performance.now(); frames.push(now-last); last=now; const h=g.querySelector('.g-head').getBoundingClientRect().bottom,b=g.getBoundingClientRect().bottom; const seen=[...g.querySelectorAll('.r')].filter(e=>{const q=e.getBoundingClientRect(); return q.bottom>h&&q.top<b}).length; if(seen<24) blanks++; } frames.sort((a,b)=>a-b); return {blanks, median:frames[60], p95:frames[114], nodes:g.querySelectorAll('*').length}})()`))
}
