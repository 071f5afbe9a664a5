//! The figures drawn: a panel of bars for each platform, ours beside KVM-HV's.

use super::{Figure, Measured};
use anyhow::Result;
use plotters::coord::Shift;
use plotters::prelude::*;

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// Pixels of a panel.
const PANEL: (u32, u32) = (1100, 560);
/// Colours that people who see fewer of them tell apart as well (Okabe and Ito).
const OURS: RGBColor = RGBColor(0, 114, 178);
const THEIRS: RGBColor = RGBColor(230, 159, 0);
const TITLE: u32 = 20;
const TEXT: u32 = 14;
/// Pixels for the names of the events, and between two events.
const NAMES: u32 = 310;
const GAP: u32 = 5;
/// How thick a bar may be.
const BAR: u32 = 13;

/// Draws everything.
pub fn draw(measured: &[Measured]) -> Result<String> {
    let mut svg = String::new();
    {
        let size = (PANEL.0, PANEL.1 * measured.len().max(1) as u32);
        let root = SVGBackend::with_string(&mut svg, size).into_drawing_area();
        root.fill(&WHITE)?;
        let panels = root.split_evenly((measured.len().max(1), 1));
        panels.iter().zip(measured).try_for_each(|(area, measured)| bars(area, measured))?;
        root.present()?;
    }
    Ok(svg)
}

/// An event with both figures, if it has them and they are something.
fn compared(figure: &Figure) -> Option<(&'static str, f64, f64)> {
    let (ours, theirs) = figure.ours.zip(figure.kvm_hv)?;
    (theirs > 0.0).then_some((figure.name, ours, theirs))
}

/// Bars that lie, the first event at the top.
fn bars(area: &Area<'_>, measured: &Measured) -> Result<()> {
    let events: Vec<_> = measured.figures.iter().rev().filter_map(compared).collect();
    let highest = events.iter().map(|(_, ours, theirs)| ours.max(*theirs)).fold(1.0, f64::max);
    let title = format!("Net instructions per event on {}", measured.platform);
    let mut chart = ChartBuilder::on(area)
        .caption(title, ("sans-serif", TITLE))
        .margin(16)
        .x_label_area_size(44)
        .y_label_area_size(NAMES)
        .build_cartesian_2d(0.0..highest * 1.15, (0..events.len().saturating_sub(1)).into_segmented())?;
    let name = |at: &SegmentValue<usize>| match at {
        SegmentValue::CenterOf(index) => events.get(*index).map_or_else(String::new, |(name, ..)| (*name).to_owned()),
        _ => String::new(),
    };
    chart
        .configure_mesh()
        .disable_y_mesh()
        .light_line_style(TRANSPARENT)
        .y_labels(events.len() + 1)
        .y_label_formatter(&name)
        .x_label_formatter(&|value| format!("{value:.0}"))
        .x_desc("instructions")
        .label_style(("sans-serif", TEXT))
        .draw()?;
    // The margins are what is left of an event's height above and below a bar.
    let half = (chart.plotting_area().dim_in_pixel().1 / events.len().max(1) as u32 / 2).saturating_sub(GAP);
    let bar = half.min(BAR);
    for (label, colour, ours) in [("ours", OURS, true), ("KVM-HV", THEIRS, false)] {
        let (above, below) = if ours { (GAP + half - bar, GAP + half) } else { (GAP + half, GAP + half - bar) };
        let value = |(_, mine, theirs): &(&str, f64, f64)| if ours { *mine } else { *theirs };
        let bars = events.iter().enumerate().map(|(index, event)| {
            let corners = [(0.0, SegmentValue::Exact(index)), (value(event), SegmentValue::Exact(index + 1))];
            let mut bar = Rectangle::new(corners, colour.filled());
            bar.set_margin(above, below, 0, 0);
            bar
        });
        chart.draw_series(bars)?.label(label).legend(move |(x, y)| swatch(x, y, colour));
        let offset = if ours { -14 } else { 1 };
        let labels = events.iter().enumerate().map(|(index, event)| {
            let text = Text::new(format!("{:.0}", value(event)), (4, offset), ("sans-serif", TEXT));
            EmptyElement::at((value(event), SegmentValue::CenterOf(index))) + text
        });
        chart.draw_series(labels)?;
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::LowerRight)
        .background_style(WHITE.mix(0.85))
        .border_style(BLACK.mix(0.3))
        .label_font(("sans-serif", TEXT))
        .draw()?;
    Ok(())
}

fn swatch(x: i32, y: i32, colour: RGBColor) -> Rectangle<(i32, i32)> {
    Rectangle::new([(x, y - 6), (x + 16, y + 6)], colour.filled())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_be_compared_is_drawn() {
        let figure = |name, ours, kvm_hv| Figure { id: name, name, ours, kvm_hv, ratio: None };
        let figures = vec![
            figure("null hcall", Some(229.0), Some(2062.0)),
            figure("unmap", Some(264.0), Some(1627.0)),
            figure("second touch", Some(0.0), Some(0.0)),
            figure("page compressed", Some(1.0), None),
        ];
        let svg = draw(&[Measured { platform: "pseries", figures }]).unwrap();
        for text in ["null hcall", "unmap", "on pseries", "2062", "KVM-HV"] {
            assert!(svg.contains(text), "{text} is not in the drawing");
        }
        assert!(!svg.contains("page compressed") && !svg.contains("second touch"));
    }
}
