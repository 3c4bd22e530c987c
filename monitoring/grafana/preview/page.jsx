// One dashboard on a page: ?dashboard=safety&prometheus=http://127.0.0.1:9090&minutes=30&to=<seconds, now if left out>

import { createTheme } from "@grafana/data";
import { GlobalStyles, PortalContainer, ThemeContext } from "@grafana/ui";
import { createRoot } from "react-dom/client";

import pipeline from "../dashboards/pipeline.json";
import safety from "../dashboards/safety.json";
import { Panel } from "./panels.jsx";

const COLUMNS = 24;
const CELL = 30;
const GAP = 8;

const asked = new URLSearchParams(location.search);
const to = Number(asked.get("to") ?? Math.floor(Date.now() / 1000));
const place = {
  url: asked.get("prometheus") ?? "http://127.0.0.1:9090",
  from: to - 60 * Number(asked.get("minutes") ?? 30),
  to,
};
const dashboard = { safety, pipeline }[asked.get("dashboard") ?? "safety"];
const theme = createTheme({ colors: { mode: "dark" } });

function box({ x, y, w, h }) {
  const column = (innerWidth - GAP) / COLUMNS;
  return {
    left: GAP + x * column,
    top: 48 + y * (CELL + GAP),
    width: w * column - GAP,
    height: h * (CELL + GAP) - GAP,
  };
}

function At({ panel }) {
  const where = box(panel.gridPos);
  const style = { position: "absolute", ...where };
  if (panel.type === "row") return <h5 style={{ ...style, margin: 0, paddingTop: 8 }}>{panel.title}</h5>;
  return (
    <div style={style}>
      <Panel panel={panel} place={place} width={where.width} height={where.height} />
    </div>
  );
}

function Page() {
  return (
    <ThemeContext.Provider value={theme}>
      <GlobalStyles />
      <PortalContainer />
      <h4 style={{ position: "absolute", left: 2 * GAP, top: 14 }}>{dashboard.title}</h4>
      {dashboard.panels.map((panel, n) => (
        <At key={n} panel={panel} />
      ))}
    </ThemeContext.Provider>
  );
}

document.body.style.background = theme.colors.background.canvas;
createRoot(document.getElementById("page")).render(<Page />);
