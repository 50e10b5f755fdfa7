package ffmpeg

import (
	"bytes"
	"fmt"
	"image"
	"image/jpeg"

	"github.com/cinelog/cinelog/commands"
)

// A tile that is as dark as this on the average, or whose light differs by less from place to place, shows nothing. Light
// goes from 0 to 255.
const (
	blankLight    = 24
	blankContrast = 64 // the square of the standard deviation
)

// judge looks at the tiles of a storyboard: which show nothing, and which of the others has the most contrast.
func judge(p commands.Previews, tiles int) (blank []bool, best int, err error) {
	picture, err := jpeg.Decode(bytes.NewReader(p.Storyboard))
	if err != nil {
		return nil, 0, fmt.Errorf("read the image: %w", err)
	}
	grey, ok := picture.(*image.YCbCr)
	if size := picture.Bounds().Size(); !ok || size.X != p.Columns*p.TileWidth || size.Y != p.Rows*p.TileHeight {
		return nil, 0, fmt.Errorf("%w: an image of %v", errMP4, size)
	}
	blank, most := make([]bool, tiles), 0.0
	for i := range tiles {
		left, top := i%p.Columns*p.TileWidth, i/p.Columns*p.TileHeight
		sum, squares := 0.0, 0.0
		for y := top; y < top+p.TileHeight; y++ {
			for x := left; x < left+p.TileWidth; x++ {
				light := float64(grey.Y[grey.YOffset(x, y)])
				sum, squares = sum+light, squares+light*light
			}
		}
		n := float64(p.TileWidth * p.TileHeight)
		mean := sum / n
		contrast := squares/n - mean*mean
		blank[i] = mean < blankLight || contrast < blankContrast
		if !blank[i] && contrast > most {
			most, best = contrast, i
		}
	}
	return blank, best, nil
}
